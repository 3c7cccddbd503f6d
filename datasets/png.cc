// PNG from memory through libpng. As with JPEG, errors jump back here, and warnings about the pixels count as errors.
#include <png.h>
#include <setjmp.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <vector>

#include "core/error.h"
#include "datasets/image.h"

namespace fdi::datasets {
namespace {

struct Reader {
  std::span<const uint8_t> bytes;
  size_t at = 0;
  char text[160] = "";
  png_structp png = nullptr;
  png_infop info = nullptr;
  Image image;  // here and not on the stack frame that setjmp restores
  std::unique_ptr<uint8_t[]> rgba;
  std::vector<png_bytep> rows;
  ~Reader() { png_destroy_read_struct(&png, &info, nullptr); }
};

[[noreturn]] void on_error(png_structp png, png_const_charp message) {
  auto* r = static_cast<Reader*>(png_get_error_ptr(png));
  std::snprintf(r->text, sizeof(r->text), "%s", message);
  png_longjmp(png, 1);
}

void on_warning(png_structp, png_const_charp) {}  // of ancillary chunks (colour profiles, text); pixels raise errors

void on_read(png_structp png, png_bytep out, size_t n) {
  auto* r = static_cast<Reader*>(png_get_io_ptr(png));
  if (n > r->bytes.size() - r->at) png_error(png, "the file ends too early");
  std::memcpy(out, r->bytes.data() + r->at, n);
  r->at += n;
}

}  // namespace

Image decode_png(std::span<const uint8_t> bytes, const std::string& where) {
  Reader r;
  r.bytes = bytes;
  r.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &r, on_error, on_warning);
  if (r.png != nullptr) r.info = png_create_info_struct(r.png);
  if (r.info == nullptr) core::fail("{}: out of memory while reading a PNG", where);
  if (setjmp(png_jmpbuf(r.png)) != 0)
    core::fail("{}: damaged PNG near byte {} of {}: {}; fetch it again or remove it", where, r.at, bytes.size(),
               r.text);
  png_set_read_fn(r.png, &r, on_read);
  png_set_benign_errors(r.png, 0);                     // "too much image data" and its like are damage
  png_set_user_limits(r.png, 0x7FFFFFFF, 0x7FFFFFFF);  // ours, below, speak plainer
  png_set_chunk_malloc_max(r.png, 8 << 20);
  png_set_keep_unknown_chunks(r.png, PNG_HANDLE_CHUNK_NEVER, nullptr, -1);  // profiles and text are not needed
  png_read_info(r.png, r.info);

  const int64_t height = png_get_image_height(r.png, r.info), width = png_get_image_width(r.png, r.info);
  if (height > kMaxPixels / width) new_image(height, width, where);  // says why
  constexpr int64_t kMaxDeflateRatio = 1032;  // no deflate stream expands more: a cheap test before allocating
  if (static_cast<int64_t>(png_get_rowbytes(r.png, r.info)) * height / kMaxDeflateRatio >
      static_cast<int64_t>(bytes.size()))
    core::fail("{}: claims {} x {} pixels, which its {} bytes cannot hold; fetch it again or remove it", where, width,
               height, bytes.size());
  png_set_expand(r.png);  // palette and few bits to 8, transparency to alpha
  png_set_scale_16(r.png);
  png_set_gray_to_rgb(r.png);
  png_set_interlace_handling(r.png);
  png_read_update_info(r.png, r.info);
  const int channels = png_get_channels(r.png, r.info);
  r.image = new_image(height, width, where);
  if (channels == 4) r.rgba = std::make_unique_for_overwrite<uint8_t[]>(static_cast<size_t>(height * width * 4));
  r.rows.resize(static_cast<size_t>(height));
  for (size_t y = 0; y < r.rows.size(); ++y)
    r.rows[y] = (channels == 4 ? r.rgba.get() : r.image.rgb.get()) + y * static_cast<size_t>(width * channels);
  png_read_image(r.png, r.rows.data());
  png_read_end(r.png, nullptr);
  if (channels == 4)
    for (int64_t i = 0; i < height * width; ++i)
      for (int c = 0; c < 3; ++c) {
        const int alpha = r.rgba[4 * i + 3];
        r.image.rgb[3 * i + c] = static_cast<uint8_t>((r.rgba[4 * i + c] * alpha + 255 * (255 - alpha) + 127) / 255);
      }
  return std::move(r.image);
}

}  // namespace fdi::datasets
