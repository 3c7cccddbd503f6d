// gzip by zlib, xz/bzip2/zstd by libarchive's filters.
#include "datasets/decompress.h"

#include <archive.h>
#include <archive_entry.h>
#include <zlib.h>

#include <algorithm>
#include <limits>
#include <string_view>
#include <vector>

#include "core/error.h"

namespace fdi::datasets {
namespace {

constexpr size_t kPieceBytes = size_t{256} << 10;

bool starts_with(std::span<const uint8_t> data, std::string_view magic) {
  return data.size() >= magic.size() && std::equal(magic.begin(), magic.end(), data.begin(),
                                                   [](char a, uint8_t b) { return static_cast<uint8_t>(a) == b; });
}

class GzipStream : public ByteStream {
 public:
  GzipStream(std::span<const uint8_t> data, std::string where)
      : rest_(data), all_(data.size()), where_(std::move(where)) {
    if (inflateInit2(&z_, 15 + 16) != Z_OK) core::fail("{}: out of memory while unpacking gzip", where_);
  }
  ~GzipStream() override { inflateEnd(&z_); }

  std::span<const uint8_t> next() override {
    while (true) {
      if (member_done_) {  // a gzip file may be several members in a row; zero padding may follow
        while (!rest_.empty() && rest_[0] == 0) rest_ = rest_.subspan(1);
        if (rest_.empty()) return {};
        if (!starts_with(rest_, "\x1f\x8b")) damaged("bytes that are not gzip follow its end");
        inflateReset(&z_);
        member_done_ = false;
      }
      const auto in = static_cast<uInt>(std::min<size_t>(rest_.size(), std::numeric_limits<uInt>::max()));
      z_.next_in = const_cast<Bytef*>(rest_.data());  // zlib's interface lacks the const
      z_.avail_in = in;
      z_.next_out = piece_.data();
      z_.avail_out = static_cast<uInt>(piece_.size());
      const int status = inflate(&z_, Z_NO_FLUSH);
      rest_ = rest_.subspan(in - z_.avail_in);
      const size_t got = piece_.size() - z_.avail_out;
      if (status == Z_STREAM_END) {
        member_done_ = true;
      } else if (status == Z_BUF_ERROR || (status == Z_OK && got == 0 && rest_.empty())) {
        damaged("the gzip data ends too early");
      } else if (status != Z_OK) {
        damaged(z_.msg != nullptr ? z_.msg : "invalid gzip data");
      }
      if (got > 0) return {piece_.data(), got};
    }
  }

 private:
  [[noreturn]] void damaged(std::string_view what) {
    core::fail("{}: damaged at byte {} of {}: {}; fetch the file again", where_, all_ - rest_.size(), all_, what);
  }
  std::span<const uint8_t> rest_;
  size_t all_;
  std::string where_;
  z_stream z_{};
  bool member_done_ = false;
  std::vector<uint8_t> piece_ = std::vector<uint8_t>(kPieceBytes);
};

class FilterStream : public ByteStream {
 public:
  FilterStream(std::span<const uint8_t> data, std::string where)
      : where_(std::move(where)), archive_(archive_read_new()) {
    archive_read_support_filter_xz(archive_.get());
    archive_read_support_filter_bzip2(archive_.get());
    archive_read_support_filter_zstd(archive_.get());
    archive_read_support_format_raw(archive_.get());
    archive_entry* entry = nullptr;
    // Reading in pieces of 64 KiB makes the byte offset of a message meaningful.
    if (archive_read_open_memory2(archive_.get(), data.data(), data.size(), 64 << 10) != ARCHIVE_OK ||
        archive_read_next_header(archive_.get(), &entry) != ARCHIVE_OK)
      damaged();
  }
  std::span<const uint8_t> next() override {
    const void* block = nullptr;
    size_t bytes = 0;
    int64_t offset = 0;
    const int status = archive_read_data_block(archive_.get(), &block, &bytes, &offset);
    if (status == ARCHIVE_EOF) return {};
    if (status != ARCHIVE_OK) damaged();
    return {static_cast<const uint8_t*>(block), bytes};
  }

 private:
  [[noreturn]] void damaged() {
    const char* reason = archive_error_string(archive_.get());
    core::fail("{}: damaged near byte {}: {}; fetch the file again", where_, archive_filter_bytes(archive_.get(), -1),
               reason != nullptr ? reason : "invalid compressed data");
  }
  struct Free {
    void operator()(archive* a) const { archive_read_free(a); }
  };
  std::string where_;
  std::unique_ptr<archive, Free> archive_;
};

}  // namespace

std::unique_ptr<ByteStream> open_compressed(std::span<const uint8_t> data, const std::string& where) {
  using std::string_view_literals::operator""sv;
  if (starts_with(data, "\x1f\x8b")) return std::make_unique<GzipStream>(data, where);
  for (const std::string_view magic : {"\xFD\x37zXZ\x00"sv, "BZh"sv, "\x28\xB5\x2F\xFD"sv})
    if (starts_with(data, magic)) return std::make_unique<FilterStream>(data, where);
  return nullptr;
}

}  // namespace fdi::datasets
