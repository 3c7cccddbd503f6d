// See the header. Patterns depend on (seed, class), examples on (seed, split, index) only.
#include "datasets/synthetic.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numbers>

#include "core/error.h"
#include "core/rng.h"

namespace fdi::datasets {
namespace {

using core::Rng;
using core::Stream;

class Synthetic : public Dataset {
 public:
  Synthetic(const SyntheticOptions& o, Split split) : o_(o), split_(split) {
    for (int c = 0; c < o.classes; ++c) {
      classes_.push_back(fmt::format("pattern{:03}", c));
      Rng rng(o.seed, Stream::kSynthetic, 0, c);
      std::vector<float> pattern(size_t{3} * static_cast<size_t>(o.height * o.width));
      for (int channel = 0; channel < 3; ++channel)
        for (int wave = 0; wave < 3; ++wave) {
          // Whole periods per image, so that a circular shift has no seam.
          const double fy = rng.below(4), fx = rng.below(4), phase = rng.uniform();
          for (int y = 0; y < o.height; ++y)
            for (int x = 0; x < o.width; ++x)
              pattern[(static_cast<size_t>(y) * o.width + x) * 3 + channel] += static_cast<float>(
                  std::cos(2 * std::numbers::pi * (fy * y / o.height + fx * x / o.width + phase)) / 3);
        }
      patterns_.push_back(std::move(pattern));
    }
  }
  int64_t size() const override { return split_ == Split::kTrain ? o_.train : o_.test; }
  const std::vector<std::string>& classes() const override { return classes_; }
  core::Shape image_shape() const override { return {o_.height, o_.width, 3}; }
  int label(int64_t index) const override { return static_cast<int>(index % o_.classes); }
  std::string source() const override {
    return fmt::format("synthetic images, {} ({} classes, seed {}), made up: no real data", split_names(split_)[0],
                       o_.classes, o_.seed);
  }
  void image(int64_t index, std::span<uint8_t> out) const override {
    Rng rng(o_.seed, Stream::kSynthetic, split_ == Split::kTrain ? 1 : 2, index);
    const std::vector<float>& pattern = patterns_[label(index)];
    const auto dy = static_cast<int>(rng.below(std::max(1, o_.height / 8)));
    const auto dx = static_cast<int>(rng.below(std::max(1, o_.width / 8)));
    const float contrast = rng.uniform(0.25F, 0.5F) * 255, noise = o_.noise * 255 / 256;
    size_t i = 0;
    uint64_t bits = 0;
    for (int y = 0; y < o_.height; ++y)
      for (int x = 0; x < o_.width; ++x) {
        const float* p = &pattern[(static_cast<size_t>((y + dy) % o_.height) * o_.width + (x + dx) % o_.width) * 3];
        for (int c = 0; c < 3; ++c, ++i, bits >>= 8) {
          if (i % 8 == 0) bits = rng.next();
          const float v = 128 + contrast * p[c] + noise * (static_cast<float>(bits & 0xFF) - 127.5F);
          out[i] = static_cast<uint8_t>(std::clamp(v, 0.0F, 255.0F));
        }
      }
  }

 private:
  SyntheticOptions o_;
  Split split_;
  std::vector<std::string> classes_;
  std::vector<std::vector<float>> patterns_;  // per class (height, width, 3), in [-1, 1]
};

template <class T>
void parse_number(std::string_view key, std::string_view text, T low, T high, T& out) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !(value >= low && value <= high))
    core::fail("synthetic: {}={}: wanted a number from {} to {}", key, text, low, high);
  out = value;
}

}  // namespace

SyntheticOptions parse_synthetic(std::string_view text) {
  SyntheticOptions o;
  const size_t colon = text.find(':');
  std::string_view rest = colon == std::string_view::npos ? std::string_view{} : text.substr(colon + 1);
  while (!rest.empty()) {
    const size_t comma = std::min(rest.find(','), rest.size());
    const std::string_view item = rest.substr(0, comma);
    rest.remove_prefix(std::min(comma + 1, rest.size()));
    const size_t equals = std::min(item.find('='), item.size());
    const std::string_view key = item.substr(0, equals), value = item.substr(std::min(equals + 1, item.size()));
    constexpr int64_t kMost = 10'000'000;
    if (key == "classes")
      parse_number(key, value, 1, 1000, o.classes);
    else if (key == "height")
      parse_number(key, value, 1, 1024, o.height);
    else if (key == "width")
      parse_number(key, value, 1, 1024, o.width);
    else if (key == "train")
      parse_number(key, value, int64_t{1}, kMost, o.train);
    else if (key == "test")
      parse_number(key, value, int64_t{1}, kMost, o.test);
    else if (key == "noise")
      parse_number(key, value, 0.0F, 2.0F, o.noise);
    else if (key == "seed")
      parse_number(key, value, uint64_t{0}, ~uint64_t{0}, o.seed);
    else
      core::fail("synthetic: unknown setting '{}'; wanted classes, height, width, train, test, noise or seed", item);
  }
  return o;
}

DatasetPtr make_synthetic(const SyntheticOptions& options, Split split) {
  return std::make_shared<Synthetic>(options, split);
}

}  // namespace fdi::datasets
