// Walks the members of a tar, plain or compressed (gz, xz, bz2, zst). Nothing is ever unpacked to disk. Called by the
// CIFAR and image readers, and by the tar fuzzer.
#pragma once
#include <cstdint>
#include <functional>
#include <span>
#include <string>

#include "datasets/source.h"

namespace fdi::datasets {

// What an honest archive never exceeds; a bomb does.
struct ArchiveLimits {
  int64_t member_bytes = int64_t{64} << 20;  // of a member that is read
  int64_t total_bytes = int64_t{4} << 30;    // unpacked, of a compressed archive; a plain one is read in place
};

struct Member {
  enum class Type { kFile, kLink, kOther };
  std::string name;  // relative, without "./"
  Type type;
  // What a link means, hard or symbolic, as the name of a member; empty where it leads out of the archive.
  std::string target;
  int64_t bytes;
  // The contents, valid until the callback returns. Throws Error where they are damaged or beyond the limit.
  std::function<std::span<const uint8_t>()> read;
  // Where the contents begin in a plain tar; -1 in a compressed one, or where they are stored with gaps (sparse).
  std::function<int64_t()> offset;
};

// Calls `visit` for each member but folders, in order; of members with one name the last one is what unpacking leaves.
// Returns what a person should know about the archive's end (its mark is missing; bytes follow it), or "". Throws
// core::Error that names the archive, the member and the damage.
std::string for_each_member(const Source& archive, const ArchiveLimits& limits,
                            const std::function<void(const Member&)>& visit);

}  // namespace fdi::datasets
