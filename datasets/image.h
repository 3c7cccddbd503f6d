// Image: decoded pixels. Decodes JPEG (libjpeg-turbo) and PNG (libpng) from memory, whatever their colour form, to RGB,
// and fits them to a shape. Called by ImageSet, and by the image fuzzer. A damaged image is an error, never grey areas.
#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <string>

namespace fdi::datasets {

constexpr int64_t kMaxPixels = int64_t{64} << 20;      // of one image; more is taken for a decompression bomb
constexpr int64_t kMaxImageBytes = int64_t{64} << 20;  // of one encoded image

struct Image {
  int height = 0, width = 0;
  std::unique_ptr<uint8_t[]> rgb;  // row-major (height, width, 3)
  bool no_end_mark = false;        // of a JPEG that ends without one, after its last pixel
  int64_t bytes() const { return int64_t{3} * height * width; }
};

// JPEG or PNG by its first bytes. A JPEG may come out at 1/2, 1/4 or 1/8 of its size as long as its shorter side stays
// at least `min_side` (0: full size); its EXIF orientation is applied. Greyscale, CMYK and palettes become RGB,
// 16 bits become 8, transparent parts lie on white. Throws core::Error headed by `where`.
Image decode_image(std::span<const uint8_t> bytes, const std::string& where, int min_side = 0);

// Scales (bilinear, averaging where it shrinks) until the image just covers (height, width), then crops the centre.
void fit_image(const Image& image, int height, int width, std::span<uint8_t> out);

// The two formats, for decode_image().
Image decode_jpeg(std::span<const uint8_t> bytes, const std::string& where, int min_side);
Image decode_png(std::span<const uint8_t> bytes, const std::string& where);
// Throws core::Error for an empty image or one of more than kMaxPixels; else allocates it (not cleared).
Image new_image(int64_t height, int64_t width, const std::string& where);

}  // namespace fdi::datasets
