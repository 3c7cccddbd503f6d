// Small data files made in memory: JPEG, PNG, tar, CIFAR-10 records. For the tests and for the seeds of the fuzzers.
#pragma once
#include <archive.h>
#include <archive_entry.h>
#include <png.h>

#include <cstdint>
#include <cstdio>  // jpeglib.h needs it
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include <jpeglib.h>

namespace fdi::datasets {

using Bytes = std::vector<uint8_t>;
using Files = std::vector<std::pair<std::string, Bytes>>;

// A smooth image: rows of `channels` values; JPEG keeps it almost unchanged.
inline Bytes ramp(int height, int width, int channels, int seed = 0) {
  Bytes pixels;
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x)
      for (int c = 0; c < channels; ++c)
        pixels.push_back(static_cast<uint8_t>((40 + seed * 7 + 3 * x * (c + 1) / 2 + 2 * y) % 200 + 20));
  return pixels;
}

// `space`: JCS_RGB, JCS_GRAYSCALE or JCS_CMYK, as the pixels are. `exif`: bytes of an APP1 marker.
inline Bytes make_jpeg(int height, int width, const Bytes& pixels, J_COLOR_SPACE space = JCS_RGB,
                       const Bytes& exif = {}, bool progressive = false) {
  jpeg_compress_struct info{};
  jpeg_error_mgr errors{};
  info.err = jpeg_std_error(&errors);
  jpeg_create_compress(&info);
  unsigned char* out = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&info, &out, &size);
  info.image_height = static_cast<JDIMENSION>(height);
  info.image_width = static_cast<JDIMENSION>(width);
  info.input_components = space == JCS_GRAYSCALE ? 1 : space == JCS_CMYK ? 4 : 3;
  info.in_color_space = space;
  jpeg_set_defaults(&info);
  jpeg_set_quality(&info, 98, TRUE);
  if (progressive) jpeg_simple_progression(&info);
  jpeg_start_compress(&info, TRUE);
  if (!exif.empty()) jpeg_write_marker(&info, JPEG_APP0 + 1, exif.data(), static_cast<unsigned>(exif.size()));
  for (int y = 0; y < height; ++y) {
    auto* row = const_cast<JSAMPLE*>(pixels.data() + static_cast<size_t>(y) * width * info.input_components);
    jpeg_write_scanlines(&info, &row, 1);
  }
  jpeg_finish_compress(&info);
  Bytes bytes(out, out + size);
  jpeg_destroy_compress(&info);
  std::free(out);
  return bytes;
}

// `type`: PNG_COLOR_TYPE_*; the palette of an indexed image is (i, 255 - i, 7); `bits` 8 or 16 (big-endian pixels).
inline Bytes make_png(int height, int width, const Bytes& pixels, int type = PNG_COLOR_TYPE_RGB, int bits = 8,
                      bool interlaced = false) {
  Bytes bytes;
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, nullptr, nullptr);
  png_infop info = png_create_info_struct(png);
  png_set_write_fn(
      png, &bytes,
      [](png_structp p, png_bytep data, size_t n) {
        auto* to = static_cast<Bytes*>(png_get_io_ptr(p));
        to->insert(to->end(), data, data + n);
      },
      nullptr);
  png_set_IHDR(png, info, static_cast<png_uint_32>(width), static_cast<png_uint_32>(height), bits, type,
               interlaced ? PNG_INTERLACE_ADAM7 : PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
               PNG_FILTER_TYPE_DEFAULT);
  if (type == PNG_COLOR_TYPE_PALETTE) {
    png_color palette[256];
    for (int i = 0; i < 256; ++i) palette[i] = {static_cast<png_byte>(i), static_cast<png_byte>(255 - i), 7};
    png_set_PLTE(png, info, palette, 256);
  }
  const size_t row = pixels.size() / static_cast<size_t>(height);
  std::vector<png_bytep> rows;
  rows.reserve(static_cast<size_t>(height));
  for (int y = 0; y < height; ++y) rows.push_back(const_cast<png_bytep>(pixels.data() + row * static_cast<size_t>(y)));
  png_write_info(png, info);
  png_write_image(png, rows.data());
  png_write_end(png, nullptr);
  png_destroy_write_struct(&png, &info);
  return bytes;
}

// `filter`: ARCHIVE_FILTER_NONE, _GZIP or _XZ.
inline Bytes make_tar(const Files& files, int filter = ARCHIVE_FILTER_NONE) {
  size_t total = 1 << 20;
  for (const auto& [name, bytes] : files) total += bytes.size() + 4096;
  Bytes out(total);
  size_t used = 0;
  archive* a = archive_write_new();
  archive_write_set_format_ustar(a);
  archive_write_add_filter(a, filter);
  archive_write_open_memory(a, out.data(), out.size(), &used);
  for (const auto& [name, bytes] : files) {
    archive_entry* entry = archive_entry_new();
    archive_entry_set_pathname(entry, name.c_str());
    archive_entry_set_filetype(entry, name.back() == '/' ? AE_IFDIR : AE_IFREG);
    archive_entry_set_perm(entry, 0644);
    archive_entry_set_size(entry, static_cast<la_int64_t>(bytes.size()));
    archive_write_header(a, entry);
    archive_write_data(a, bytes.data(), bytes.size());
    archive_entry_free(entry);
  }
  archive_write_close(a);
  archive_write_free(a);
  out.resize(used);
  return out;
}

inline Bytes make_gzip(const Bytes& bytes) {
  Bytes out(bytes.size() + 4096);
  size_t used = 0;
  archive* a = archive_write_new();
  archive_write_set_format_raw(a);
  archive_write_add_filter(a, ARCHIVE_FILTER_GZIP);
  archive_write_open_memory(a, out.data(), out.size(), &used);
  archive_entry* entry = archive_entry_new();
  archive_entry_set_filetype(entry, AE_IFREG);
  archive_write_header(a, entry);
  archive_write_data(a, bytes.data(), bytes.size());
  archive_entry_free(entry);
  archive_write_close(a);
  archive_write_free(a);
  out.resize(used);
  return out;
}

// CIFAR-10 records: label, then constant planes (red = 10 * label, green = index % 256, blue = 7).
inline Bytes make_cifar(int records, int first = 0) {
  Bytes bytes;
  for (int r = first; r < first + records; ++r) {
    bytes.push_back(static_cast<uint8_t>(r % 10));
    for (int c = 0; c < 3; ++c)
      bytes.insert(bytes.end(), 1024, static_cast<uint8_t>(c == 0 ? 10 * (r % 10) : c == 1 ? r % 256 : 7));
  }
  return bytes;
}

}  // namespace fdi::datasets
