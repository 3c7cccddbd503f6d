// ByteStream: the plain bytes of a compressed file, piece by piece, with the format's checksum verified at the end.
// gzip goes through zlib, because libarchive's gzip filter ignores the checksum; the rest goes through libarchive.
// Called by the archive reader.
#pragma once
#include <cstdint>
#include <memory>
#include <span>

#include "datasets/source.h"

namespace fdi::datasets {

class ByteStream {
 public:
  virtual ~ByteStream() = default;
  // The next piece, valid until the next call; empty at the end. Throws core::Error where the data is damaged.
  virtual std::span<const uint8_t> next() = 0;
};

// Null where the file is not compressed. `source` must outlive the stream.
std::unique_ptr<ByteStream> open_compressed(const Source& source);

}  // namespace fdi::datasets
