// The tar walk: libarchive parses headers. It gets its bytes from a Feed, piece by piece: out of the file, or of a
// ByteStream that unpacks and checks sums.
#include "datasets/archive.h"

#include <archive.h>
#include <archive_entry.h>

#include <algorithm>
#include <exception>
#include <memory>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "core/text.h"
#include "datasets/decompress.h"
#include "datasets/names.h"

namespace fdi::datasets {
namespace {

constexpr int64_t kTarPieceBytes = 16 << 10;  // of a plain tar: few more than a header, as contents are skipped
constexpr size_t kBlock = 512;

// libarchive's callbacks cannot let an exception pass through C code: it is kept and rethrown outside.
struct Feed {
  const Source& source;
  std::unique_ptr<ByteStream> stream;  // null: a plain tar
  int64_t limit;
  std::exception_ptr error = nullptr;
  int64_t position = 0;                 // bytes handed out or skipped
  std::span<const uint8_t> piece = {};  // the last one, up to `position`
  std::vector<uint8_t> buffer = {};

  std::span<const uint8_t> pull() {
    piece = stream ? stream->next() : source.read(position, std::min(kTarPieceBytes, source.size() - position), buffer);
    position += static_cast<int64_t>(piece.size());
    if (stream && position > limit)
      core::fail(
          "{}: unpacks to more than {} MiB, which looks like a decompression bomb; unpack a large set to a folder",
          source.where(), limit >> 20);
    return piece;
  }
  static la_ssize_t read(archive*, void* self, const void** block) {
    auto* feed = static_cast<Feed*>(self);
    try {
      const auto piece = feed->pull();
      *block = piece.data();
      return static_cast<la_ssize_t>(piece.size());
    } catch (...) {
      feed->error = std::current_exception();
      return ARCHIVE_FATAL;
    }
  }
  static la_int64_t skip(archive*, void* self, la_int64_t bytes) {
    auto* feed = static_cast<Feed*>(self);
    if (feed->stream) return 0;  // it must be unpacked
    const int64_t skipped = std::min<int64_t>(bytes, feed->source.size() - feed->position);
    feed->position += skipped;
    feed->piece = {};
    return skipped;
  }
};

struct FreeArchive {
  void operator()(archive* a) const { archive_read_free(a); }
};

// "a/b" of "./a//b/".
std::string plain_path(std::string_view path) {
  std::string out;
  while (!path.empty()) {
    const size_t slash = std::min(path.find('/'), path.size());
    const std::string_view part = path.substr(0, slash);
    path.remove_prefix(std::min(slash + 1, path.size()));
    if (part.empty() || part == ".") continue;
    if (!out.empty()) out += '/';
    out += part;
  }
  return out;
}

std::string checked_name(archive_entry* entry, const std::string& where, int64_t number) {
  const char* raw = archive_entry_pathname_utf8(entry);
  if (raw == nullptr) raw = archive_entry_pathname(entry);
  if (raw == nullptr) core::fail("{}: member {} has no readable name; make the archive again", where, number);
  const std::string_view name = raw;
  const bool control = std::any_of(name.begin(), name.end(), [](unsigned char c) { return c < 0x20 || c == 0x7F; });
  if (control) core::fail("{}: member {} has control characters in its name; make the archive again", where, number);
  const std::string guarded = fmt::format("/{}/", name);
  if (name.starts_with('/') || guarded.find("/../") != std::string::npos)
    core::fail("{}: member {} has the bad path '{}'; wanted relative names without '..'; make the archive again", where,
               number, name);
  return plain_path(name);
}

// The member that a symbolic link in the folder of `name` means; empty where it leads out of the archive. By the text
// of the path alone: a folder that is itself a link is not followed.
std::string linked(const std::string& name, std::string_view link) {
  if (link.starts_with('/')) return {};
  const size_t file = name.rfind('/');
  std::string at = file == std::string::npos ? "" : name.substr(0, file);  // grows and shrinks by a part each
  const std::string path = plain_path(link);
  for (std::string_view rest = path; !rest.empty();) {
    const size_t slash = std::min(rest.find('/'), rest.size());
    const std::string_view part = rest.substr(0, slash);
    rest.remove_prefix(std::min(slash + 1, rest.size()));
    if (part != "..") {
      if (!at.empty()) at += '/';
      at += part;
    } else if (at.empty()) {
      return {};
    } else {
      const size_t parent = at.rfind('/');
      at.resize(parent == std::string::npos ? 0 : parent);
    }
  }
  return at;
}

Member::Type type_of(archive_entry* entry, const std::string& name, std::string& target) {
  const auto text = [](const char* utf8, const char* raw) {
    return utf8 != nullptr ? utf8 : raw != nullptr ? raw : "";
  };
  if (archive_entry_hardlink(entry) != nullptr && archive_entry_size(entry) == 0) {
    target = plain_path(text(archive_entry_hardlink_utf8(entry), archive_entry_hardlink(entry)));
    return Member::Type::kLink;
  }
  if (archive_entry_filetype(entry) == AE_IFLNK) {
    target = linked(name, text(archive_entry_symlink_utf8(entry), archive_entry_symlink(entry)));
    return Member::Type::kLink;
  }
  return archive_entry_filetype(entry) == AE_IFREG ? Member::Type::kFile : Member::Type::kOther;
}

// Reads on to the very end, where a checksum may stand. What follows byte `end`, where libarchive stopped, or "".
std::string rest_of(Feed& feed, int64_t end) {
  int64_t at = -1;  // of the first byte that is not zero
  std::string block;
  const auto look = [&](std::span<const uint8_t> piece, int64_t begin) {
    if (at < 0) {
      const auto found = std::find_if(piece.begin(), piece.end(), [](uint8_t b) { return b != 0; });
      if (found == piece.end()) return;
      at = begin + (found - piece.begin());
      piece = piece.subspan(static_cast<size_t>(found - piece.begin()));
    }
    block.append(reinterpret_cast<const char*>(piece.data()),
                 std::min(piece.size(), kBlock - std::min(kBlock, block.size())));
  };
  const auto known = std::min<int64_t>(feed.position - end, static_cast<int64_t>(feed.piece.size()));
  look(feed.piece.last(static_cast<size_t>(known)), feed.position - known);
  while (feed.stream || at < 0 || block.size() < kBlock) {
    const auto piece = feed.pull();
    if (piece.empty()) break;
    look(piece, feed.position - static_cast<int64_t>(piece.size()));
  }
  if (at < 0) return {};
  const int64_t all = feed.stream ? feed.position : feed.source.size();
  if (block.size() >= 262 && block.compare(257, 5, "ustar") == 0)
    return fmt::format(
        "{}: another tar follows its end mark at byte {} and is not read ({} bytes); unpack them all with tar -xif, or "
        "pack one tar",
        feed.source.where(), at, all - at);
  return fmt::format("{}: {} bytes follow its end mark at byte {} and are not read; is it whole?", feed.source.where(),
                     all - at, at);
}

[[noreturn]] void fail_no_tar(const Source& archive, const char* reason) {
  std::vector<uint8_t> buffer;
  const auto begin = archive.read(0, std::min<int64_t>(archive.size(), 64), buffer);
  const std::string other = other_format({reinterpret_cast<const char*>(begin.data()), begin.size()});
  if (archive.size() == 0) core::fail("{}: is empty (0 bytes); fetch or make the archive again", archive.where());
  if (!other.empty()) core::fail("{}: is {}", archive.where(), other);
  core::fail("{}: is no tar, plain or compressed, or its first bytes are damaged ({}); fetch or make the archive again",
             archive.where(), reason);
}

}  // namespace

std::string for_each_member(const Source& source, const ArchiveLimits& limits,
                            const std::function<void(const Member&)>& visit) {
  const std::string& where = source.where();
  std::unique_ptr<archive, FreeArchive> a(archive_read_new());
  archive_read_support_format_tar(a.get());
  Feed feed{source, open_compressed(source), limits.total_bytes};
  std::string last = "the start";
  int64_t members = 0;
  const auto damaged = [&]() {
    if (feed.error) std::rethrow_exception(feed.error);
    const char* reason = archive_error_string(a.get());
    if (reason == nullptr) reason = "invalid data";
    if (members == 0 && archive_format(a.get()) == 0) fail_no_tar(source, reason);
    core::fail("{}: damaged tar after {}, at byte {}: {}; fetch or make the archive again", where, last,
               archive_filter_bytes(a.get(), 0), reason);
  };
  if (archive_read_open2(a.get(), &feed, nullptr, Feed::read, Feed::skip, nullptr) != ARCHIVE_OK) damaged();

  std::vector<uint8_t> buffer;
  archive_entry* entry = nullptr;
  int64_t end = 0;  // of the last member
  while (true) {
    const int status = archive_read_next_header(a.get(), &entry);
    if (status == ARCHIVE_EOF) break;
    if (status != ARCHIVE_OK && status != ARCHIVE_WARN) damaged();  // a warning is about owners, times and the like
    ++members;
    if (archive_entry_filetype(entry) != AE_IFDIR || archive_entry_hardlink(entry) != nullptr) {
      Member member{checked_name(entry, where, members), {}, {}, archive_entry_size(entry), nullptr, nullptr};
      member.type = type_of(entry, member.name, member.target);
      last = "member '" + member.name + "'";
      const auto check_bytes = [&] {
        if (member.bytes < 0 || member.bytes > limits.member_bytes)
          core::fail("{}: {} claims {} bytes; at most {} MiB are accepted; remove it or make the archive again", where,
                     last, member.bytes, limits.member_bytes >> 20);
      };
      const int64_t begin = archive_filter_bytes(a.get(), 0);
      member.offset = [&]() -> int64_t {
        check_bytes();
        return feed.stream || archive_entry_sparse_count(entry) > 0 ? -1 : begin;
      };
      member.read = [&]() -> std::span<const uint8_t> {
        check_bytes();
        buffer.clear();
        while (true) {
          const void* block = nullptr;
          size_t size = 0;
          int64_t offset = 0;
          const int got = archive_read_data_block(a.get(), &block, &size, &offset);
          if (got == ARCHIVE_EOF) break;
          if (got != ARCHIVE_OK) damaged();
          if (size == 0) continue;
          const auto* p = static_cast<const uint8_t*>(block);
          if (offset < 0 || offset + static_cast<int64_t>(size) > member.bytes) damaged();
          buffer.resize(static_cast<size_t>(offset));  // a gap of a sparse file reads as zeros
          buffer.insert(buffer.end(), p, p + size);
        }
        buffer.resize(static_cast<size_t>(member.bytes));
        return buffer;
      };
      visit(member);
    }
    if (archive_read_data_skip(a.get()) < ARCHIVE_WARN) damaged();
    end = archive_filter_bytes(a.get(), 0);
  }
  const int64_t stopped = archive_filter_bytes(a.get(), 0);
  std::string rest = rest_of(feed, stopped);
  if (stopped > end) return rest;
  if (members == 0) fail_no_tar(source, "it ends before its first member");
  // As tar itself does: a writer that never closed leaves such a file, but so does a cut between two members.
  return fmt::format("{}: its end mark is missing; if the file was cut, members are missing, too ({} were read)", where,
                     members);
}

}  // namespace fdi::datasets
