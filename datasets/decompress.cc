// gzip by zlib, xz/bzip2/zstd by libarchive's filters.
#include "datasets/decompress.h"

#include <archive.h>
#include <archive_entry.h>
#include <zlib.h>

#include <algorithm>
#include <exception>
#include <string_view>
#include <vector>

#include "core/error.h"

namespace fdi::datasets {
namespace {

constexpr int64_t kPieceBytes = 256 << 10;

bool starts_with(std::span<const uint8_t> data, std::string_view magic) {
  return data.size() >= magic.size() && std::equal(magic.begin(), magic.end(), data.begin(),
                                                   [](char a, uint8_t b) { return static_cast<uint8_t>(a) == b; });
}

// What is still to be unpacked, piece by piece.
class Input {
 public:
  explicit Input(const Source& source) : source_(source) {}
  // The piece at hand, or the next one where it is used up; empty at the end.
  std::span<const uint8_t> piece() {
    if (piece_.empty() && position_ < source_.size()) {
      piece_ = source_.read(position_, std::min<int64_t>(kPieceBytes, source_.size() - position_), buffer_);
      position_ += static_cast<int64_t>(piece_.size());
    }
    return piece_;
  }
  void use(size_t bytes) { piece_ = piece_.subspan(bytes); }
  int64_t used() const { return position_ - static_cast<int64_t>(piece_.size()); }

 private:
  const Source& source_;
  int64_t position_ = 0;
  std::span<const uint8_t> piece_;
  std::vector<uint8_t> buffer_;
};

class GzipStream : public ByteStream {
 public:
  explicit GzipStream(const Source& source) : source_(source), input_(source) {
    if (inflateInit2(&z_, 15 + 16) != Z_OK) core::fail("{}: out of memory while unpacking gzip", source.where());
  }
  ~GzipStream() override { inflateEnd(&z_); }

  std::span<const uint8_t> next() override {
    while (true) {
      if (member_done_) {  // a gzip file may be several members in a row; zero padding may follow
        while (!input_.piece().empty() && input_.piece()[0] == 0) input_.use(1);
        if (input_.piece().empty()) return {};
        if (input_.piece()[0] != 0x1f) damaged("bytes that are not gzip follow its end");
        inflateReset(&z_);
        member_done_ = false;
      }
      const auto in = input_.piece();
      z_.next_in = const_cast<Bytef*>(in.data());  // zlib's interface lacks the const
      z_.avail_in = static_cast<uInt>(in.size());
      z_.next_out = piece_.data();
      z_.avail_out = static_cast<uInt>(piece_.size());
      const int status = inflate(&z_, Z_NO_FLUSH);
      input_.use(in.size() - z_.avail_in);
      const size_t got = piece_.size() - z_.avail_out;
      if (status == Z_STREAM_END) {
        member_done_ = true;
      } else if (status == Z_BUF_ERROR || (status == Z_OK && got == 0 && input_.piece().empty())) {
        damaged("the gzip data ends too early");
      } else if (status != Z_OK) {
        damaged(z_.msg != nullptr ? z_.msg : "invalid gzip data");
      }
      if (got > 0) return {piece_.data(), got};
    }
  }

 private:
  [[noreturn]] void damaged(std::string_view what) {
    core::fail("{}: damaged at byte {} of {}: {}; fetch the file again", source_.where(), input_.used(), source_.size(),
               what);
  }
  const Source& source_;
  Input input_;
  z_stream z_{};
  bool member_done_ = false;
  std::vector<uint8_t> piece_ = std::vector<uint8_t>(kPieceBytes);
};

class FilterStream : public ByteStream {
 public:
  explicit FilterStream(const Source& source) : source_(source), input_(source), archive_(archive_read_new()) {
    archive_read_support_filter_xz(archive_.get());
    archive_read_support_filter_bzip2(archive_.get());
    archive_read_support_filter_zstd(archive_.get());
    archive_read_support_format_raw(archive_.get());
    archive_entry* entry = nullptr;
    if (archive_read_open(archive_.get(), this, nullptr, read, nullptr) != ARCHIVE_OK ||
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
  // An exception must not pass through C code: it is kept and rethrown outside.
  static la_ssize_t read(archive*, void* self, const void** block) {
    auto* stream = static_cast<FilterStream*>(self);
    try {
      const auto piece = stream->input_.piece();
      stream->input_.use(piece.size());
      *block = piece.data();
      return static_cast<la_ssize_t>(piece.size());
    } catch (...) {
      stream->error_ = std::current_exception();
      return ARCHIVE_FATAL;
    }
  }
  [[noreturn]] void damaged() {
    if (error_) std::rethrow_exception(error_);
    const char* reason = archive_error_string(archive_.get());
    core::fail("{}: damaged near byte {}: {}; fetch the file again", source_.where(),
               archive_filter_bytes(archive_.get(), -1), reason != nullptr ? reason : "invalid compressed data");
  }
  struct Free {
    void operator()(archive* a) const { archive_read_free(a); }
  };
  const Source& source_;
  Input input_;
  std::exception_ptr error_;
  std::unique_ptr<archive, Free> archive_;
};

}  // namespace

std::unique_ptr<ByteStream> open_compressed(const Source& source) {
  using std::string_view_literals::operator""sv;
  std::vector<uint8_t> buffer;
  const auto begin = source.read(0, std::min<int64_t>(source.size(), 8), buffer);
  if (starts_with(begin, "\x1f\x8b")) return std::make_unique<GzipStream>(source);
  for (const std::string_view magic : {"\xFD\x37zXZ\x00"sv, "BZh"sv, "\x28\xB5\x2F\xFD"sv})
    if (starts_with(begin, magic)) return std::make_unique<FilterStream>(source);
  return nullptr;
}

}  // namespace fdi::datasets
