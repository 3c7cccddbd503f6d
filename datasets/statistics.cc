// See the header.
#include "datasets/statistics.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/text.h"
#include "datasets/names.h"

namespace fdi::datasets {

Normalization compute_normalization(const Dataset& dataset, int64_t max_images) {
  const int64_t used = std::min(dataset.size(), max_images);
  if (used < 1) core::fail("{}: holds no images, so mean and deviation are unknown", dataset.source());
  std::array<std::array<int64_t, 256>, 3> histogram{};
  std::vector<uint8_t> pixels(static_cast<size_t>(dataset.image_shape().size()));
  std::string first_error;
  std::vector<std::string> others;
  for (int64_t k = 0; k < used; ++k) {
    // Evenly spaced without overflow: used <= size.
    const auto index = static_cast<int64_t>(static_cast<__int128>(k) * dataset.size() / used);
    try {
      dataset.image(index, pixels);
    } catch (const core::Error& e) {
      if (first_error.empty())
        first_error = e.what();
      else
        others.push_back(dataset.name(index));
      continue;
    }
    for (size_t i = 0; i < pixels.size(); i += 3)
      for (size_t c = 0; c < 3; ++c) ++histogram[c][pixels[i + c]];
  }
  if (!first_error.empty() && others.empty()) core::fail("{}", first_error);
  if (!first_error.empty())
    core::fail("{}; and {} other{} of {} images cannot be used: {}", first_error, others.size(),
               others.size() == 1 ? "" : "s", used, list_of(others));
  Normalization n;
  const double count = static_cast<double>(used * dataset.image_shape()[0] * dataset.image_shape()[1]);
  for (size_t c = 0; c < 3; ++c) {
    int64_t sum = 0, squares = 0;
    for (int64_t v = 0; v < 256; ++v) {
      sum += v * histogram[c][v];
      squares += v * v * histogram[c][v];
    }
    const double mean = static_cast<double>(sum) / count;
    const double variance = static_cast<double>(squares) / count - mean * mean;
    if (variance < 1e-6)
      core::fail("{}: channel {} is the same in every pixel, so it cannot be normalised; check the images",
                 dataset.source(), c);
    n.mean[c] = static_cast<float>(mean / 255);
    n.stddev[c] = static_cast<float>(std::sqrt(variance) / 255);
  }
  return n;
}

Description describe(const Dataset& dataset) {
  Description d{dataset.source(),
                dataset.image_shape(),
                dataset.size(),
                dataset.size() * dataset.image_shape().size(),
                {},
                compute_normalization(dataset),
                dataset.warnings()};
  for (const std::string& name : dataset.classes()) d.per_class.emplace_back(name, 0);
  for (int64_t i = 0; i < dataset.size(); ++i) ++d.per_class[dataset.label(i)].second;
  return d;
}

std::string to_text(const Description& d) {
  const auto& n = d.normalization;
  std::string text = fmt::format(
      "{}\n  {} images of {}, {} classes, {:.1f} MiB decoded\n  mean ({:.4f}, {:.4f}, {:.4f}), deviation ({:.4f}, "
      "{:.4f}, "
      "{:.4f})\n",
      d.source, d.examples, core::to_string(d.image_shape), d.per_class.size(),
      static_cast<double>(d.bytes) / (1 << 20), n.mean[0], n.mean[1], n.mean[2], n.stddev[0], n.stddev[1], n.stddev[2]);
  size_t widest = 0;
  for (const auto& [name, count] : d.per_class) widest = std::max(widest, name.size());
  for (const auto& [name, count] : d.per_class)
    text += fmt::format("  {:<{}}  {:>7}\n", core::printable(name), widest, count);
  for (const std::string& warning : d.warnings) text += fmt::format("  note: {}\n", warning);
  return text;
}

}  // namespace fdi::datasets
