// Format detection, and the resize: a separable triangle filter that widens when it shrinks, so nothing aliases.
#include "datasets/image.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "core/check.h"
#include "core/error.h"

namespace fdi::datasets {

Image new_image(int64_t height, int64_t width, const std::string& where) {
  if (height < 1 || width < 1 || height > kMaxPixels / width)
    core::fail("{}: claims {} x {} pixels; at most {} million are accepted; remove or shrink it", where, width, height,
               kMaxPixels / 1000000);
  return {static_cast<int>(height), static_cast<int>(width),
          std::make_unique_for_overwrite<uint8_t[]>(static_cast<size_t>(3 * height * width)), false};
}

Image decode_image(std::span<const uint8_t> bytes, const std::string& where, int min_side) {
  static constexpr uint8_t kPng[] = {0x89, 'P', 'N', 'G'};
  if (bytes.size() >= 3 && bytes[0] == 0xFF && bytes[1] == 0xD8 && bytes[2] == 0xFF)
    return decode_jpeg(bytes, where, min_side);
  if (bytes.size() >= 4 && std::memcmp(bytes.data(), kPng, 4) == 0) return decode_png(bytes, where);
  core::fail("{}: is neither JPEG nor PNG ({} bytes, by its first bytes); remove or convert it", where, bytes.size());
}

namespace {

// For one axis: output i is the weighted mean of inputs [first[i], first[i] + taps), weights from weight[i * taps].
struct Taps {
  int taps = 0;
  std::vector<int> first;
  std::vector<float> weight;
};

// `scale` input pixels make one output pixel; the window of `out` outputs is centred on the `in` inputs.
Taps make_taps(int in, int out, double scale) {
  const double reach = std::max(1.0, scale);
  Taps t;
  t.taps = std::min(in, static_cast<int>(std::ceil(reach)) * 2 + 1);
  t.first.resize(out);
  t.weight.resize(static_cast<size_t>(out) * t.taps);
  const double start = (in - out * scale) / 2;
  for (int i = 0; i < out; ++i) {
    const double centre = start + (i + 0.5) * scale - 0.5;
    const int first = std::clamp(static_cast<int>(std::floor(centre - reach)) + 1, 0, in - t.taps);
    t.first[i] = first;
    float* w = t.weight.data() + static_cast<size_t>(i) * t.taps;
    double sum = 0;
    for (int k = 0; k < t.taps; ++k) {
      const double v = std::max(0.0, 1.0 - std::abs(first + k - centre) / reach);
      w[k] = static_cast<float>(v);
      sum += v;
    }
    if (sum <= 0) {  // beyond the border by a rounding error: the nearest pixel
      w[centre < first ? 0 : t.taps - 1] = 1;
      sum = 1;
    }
    for (int k = 0; k < t.taps; ++k) w[k] = static_cast<float>(w[k] / sum);
  }
  return t;
}

}  // namespace

void fit_image(const Image& image, int height, int width, std::span<uint8_t> out) {
  CHECK(static_cast<int64_t>(out.size()) == int64_t{3} * height * width);
  if (image.height == height && image.width == width) {
    std::memcpy(out.data(), image.rgb.get(), out.size());
    return;
  }
  const double scale = std::min(static_cast<double>(image.height) / height, static_cast<double>(image.width) / width);
  const Taps rows = make_taps(image.height, height, scale), columns = make_taps(image.width, width, scale);
  std::vector<float> line(static_cast<size_t>(image.width) * 3);
  for (int y = 0; y < height; ++y) {
    std::fill(line.begin(), line.end(), 0.0F);
    for (int k = 0; k < rows.taps; ++k) {
      const float w = rows.weight[static_cast<size_t>(y) * rows.taps + k];
      if (w == 0) continue;
      const uint8_t* row = image.rgb.get() + static_cast<size_t>(rows.first[y] + k) * image.width * 3;
      for (size_t i = 0; i < line.size(); ++i) line[i] += w * row[i];
    }
    uint8_t* to = out.data() + static_cast<size_t>(y) * width * 3;
    for (int x = 0; x < width; ++x) {
      const float* w = columns.weight.data() + static_cast<size_t>(x) * columns.taps;
      const float* from = line.data() + static_cast<size_t>(columns.first[x]) * 3;
      float sum[3] = {0.5F, 0.5F, 0.5F};  // rounds
      for (int k = 0; k < columns.taps; ++k)
        for (int c = 0; c < 3; ++c) sum[c] += w[k] * from[3 * k + c];
      for (int c = 0; c < 3; ++c) to[3 * x + c] = static_cast<uint8_t>(std::clamp(sum[c], 0.0F, 255.0F));
    }
  }
}

}  // namespace fdi::datasets
