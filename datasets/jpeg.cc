// JPEG from memory through libjpeg-turbo. Its error handler must not return, so it jumps back here; between setjmp and
// the end no object with a destructor is made, and what changes lives in Decoder, in memory, not in a register.
#include <setjmp.h>

#include <algorithm>
#include <cstdio>  // jpeglib.h needs it
#include <cstring>
#include <utility>

#include <jpeglib.h>

#include <jerror.h>

#include "core/error.h"
#include "datasets/image.h"

namespace fdi::datasets {
namespace {

constexpr int kMaxScans = 100;  // a progressive image of thousands of scans only burns time

struct Decoder {
  jpeg_decompress_struct info{};
  jpeg_error_mgr errors{};
  jpeg_progress_mgr progress{};
  jmp_buf jump{};
  char text[JMSG_LENGTH_MAX] = "";
  bool no_end_mark = false;
  Image image;
  std::unique_ptr<uint8_t[]> cmyk_row;
  ~Decoder() { jpeg_destroy_decompress(&info); }
};

Decoder* decoder_of(j_common_ptr info) { return static_cast<Decoder*>(info->client_data); }

[[noreturn]] void on_error(j_common_ptr info) {
  Decoder* d = decoder_of(info);
  info->err->format_message(info, d->text);
  longjmp(d->jump, 1);
}

// libjpeg goes on after damage with a warning and grey pixels; here damage ends the decoding.
void on_message(j_common_ptr info, int level) {
  if (level >= 0) return;  // a trace
  switch (info->err->msg_code) {
    case JWRN_EXTRANEOUS_DATA:  // seen in healthy files: bytes between segments, odd version numbers
    case JWRN_JFIF_MAJOR:
    case JWRN_ADOBE_XFORM:
      return;
    case JWRN_JPEG_EOF:  // not yet damage: where pixels are missing, too, another message follows, or is_complete()
      decoder_of(info)->no_end_mark = true;
      return;
    default:
      on_error(info);
  }
}

// Whether the scans that were read hold all there is of every coefficient. Asked of a file without an end mark, which
// may have been cut between two scans.
bool is_complete(const jpeg_decompress_struct& info) {
  if (info.coef_bits == nullptr) return info.comps_in_scan == info.num_components;  // not progressive: one scan
  for (int c = 0; c < info.num_components; ++c)
    for (int k = 0; k < DCTSIZE2; ++k)
      if (info.coef_bits[c][k] != 0) return false;
  return true;
}

void on_progress(j_common_ptr info) {
  if (reinterpret_cast<j_decompress_ptr>(info)->input_scan_number <= kMaxScans) return;
  Decoder* d = decoder_of(info);
  std::snprintf(d->text, sizeof(d->text), "more than %d scans", kMaxScans);
  longjmp(d->jump, 1);
}

// EXIF orientation 1..8 from the APP1 marker; 1 (upright) where there is none or it makes no sense.
int orientation_of(const jpeg_decompress_struct& info) {
  for (auto* m = info.marker_list; m != nullptr; m = m->next) {
    const uint8_t* p = m->data;
    const size_t n = m->data_length;
    if (m->marker != JPEG_APP0 + 1 || n < 14 || std::memcmp(p, "Exif\0", 6) != 0) continue;
    p += 6;
    const size_t size = n - 6;
    const bool little = p[0] == 'I';
    const auto u16 = [&](size_t at) -> unsigned { return little ? p[at] | p[at + 1] << 8 : p[at] << 8 | p[at + 1]; };
    const auto u32 = [&](size_t at) -> size_t {
      return little ? u16(at) | size_t{u16(at + 2)} << 16 : size_t{u16(at)} << 16 | u16(at + 2);
    };
    const size_t directory = u32(4);
    if (directory > size - 2) return 1;
    const size_t entries = u16(directory);
    for (size_t i = 0; i < entries; ++i) {
      const size_t at = directory + 2 + 12 * i;
      if (at + 12 > size) return 1;
      if (u16(at) != 0x0112) continue;
      const unsigned value = u16(at + 8);
      return value >= 1 && value <= 8 ? static_cast<int>(value) : 1;
    }
  }
  return 1;
}

Image turned(Image image, int orientation, const std::string& where) {
  if (orientation == 1) return image;
  const bool swap = orientation >= 5;
  const bool mirror_x = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
  const bool mirror_y = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
  Image out = swap ? new_image(image.width, image.height, where) : new_image(image.height, image.width, where);
  out.no_end_mark = image.no_end_mark;
  for (int y = 0; y < out.height; ++y)
    for (int x = 0; x < out.width; ++x) {
      int sy = swap ? x : y, sx = swap ? y : x;  // the stored pixel, before mirroring the stored axes
      if (mirror_y) sy = image.height - 1 - sy;
      if (mirror_x) sx = image.width - 1 - sx;
      std::memcpy(&out.rgb[3 * (static_cast<size_t>(y) * out.width + x)],
                  &image.rgb[3 * (static_cast<size_t>(sy) * image.width + sx)], 3);
    }
  return out;
}

void cmyk_to_rgb(const uint8_t* cmyk, int width, bool inverted, uint8_t* rgb) {
  for (int x = 0; x < width; ++x, cmyk += 4, rgb += 3)
    for (int c = 0; c < 3; ++c) {
      const int ink = inverted ? cmyk[c] : 255 - cmyk[c];  // Adobe stores 255 - ink
      const int black = inverted ? cmyk[3] : 255 - cmyk[3];
      rgb[c] = static_cast<uint8_t>((ink * black + 127) / 255);
    }
}

}  // namespace

Image decode_jpeg(std::span<const uint8_t> bytes, const std::string& where, int min_side) {
  Decoder d;
  d.info.err = jpeg_std_error(&d.errors);
  d.info.client_data = &d;
  d.errors.error_exit = on_error;
  d.errors.emit_message = on_message;
  d.progress.progress_monitor = on_progress;
  if (setjmp(d.jump) != 0) {
    const size_t left = d.info.src != nullptr ? d.info.src->bytes_in_buffer : 0;
    core::fail("{}: damaged JPEG near byte {} of {}: {}; fetch it again or remove it", where,
               bytes.size() - std::min(left, bytes.size()), bytes.size(), d.text);
  }
  jpeg_create_decompress(&d.info);  // clears all but err and client_data
  d.info.progress = &d.progress;
  jpeg_mem_src(&d.info, bytes.data(), bytes.size());
  jpeg_save_markers(&d.info, JPEG_APP0 + 1, 0xFFFF);
  jpeg_read_header(&d.info, TRUE);
  const auto height = static_cast<int64_t>(d.info.image_height), width = static_cast<int64_t>(d.info.image_width);
  if (height < 1 || width < 1 || height > kMaxPixels / width) new_image(height, width, where);  // says why

  const bool four = d.info.jpeg_color_space == JCS_CMYK || d.info.jpeg_color_space == JCS_YCCK;
  d.info.out_color_space = four ? JCS_CMYK : JCS_RGB;
  d.info.scale_num = d.info.scale_denom = 8;
  if (min_side > 0)
    while (d.info.scale_num > 1 && std::min(height, width) * (d.info.scale_num / 2) >= int64_t{8} * min_side)
      d.info.scale_num /= 2;
  jpeg_start_decompress(&d.info);
  d.image = new_image(d.info.output_height, d.info.output_width, where);
  if (four) d.cmyk_row = std::make_unique<uint8_t[]>(static_cast<size_t>(d.image.width) * 4);
  while (d.info.output_scanline < d.info.output_height) {
    uint8_t* row = d.image.rgb.get() + static_cast<size_t>(d.info.output_scanline) * d.image.width * 3;
    JSAMPROW target = four ? d.cmyk_row.get() : row;
    jpeg_read_scanlines(&d.info, &target, 1);
    if (four) cmyk_to_rgb(target, d.image.width, d.info.saw_Adobe_marker != 0, row);
  }
  const int orientation = orientation_of(d.info);  // before finish, which frees the markers
  const bool complete = is_complete(d.info);
  jpeg_finish_decompress(&d.info);
  if (d.no_end_mark && !complete) {
    std::snprintf(d.text, sizeof(d.text), "the file ends between two scans");
    longjmp(d.jump, 1);
  }
  d.image.no_end_mark = d.no_end_mark;
  return turned(std::move(d.image), orientation, where);
}

}  // namespace fdi::datasets
