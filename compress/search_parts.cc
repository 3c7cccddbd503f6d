// The search's parts that need none of its state: what is drawn, what stays, how the score function sees it.
#include <algorithm>
#include <cmath>

#include "compress/search.h"
#include "core/error.h"

namespace fdi::compress {
namespace {

constexpr double kSmallest = 1e-6;  // probabilities in a logarithm stay this far from 0 and 1

}  // namespace

std::vector<float> softened(std::span<const float> p, double threshold, double beta) {
  std::vector<float> q(p.begin(), p.end());
  for (float& v : q)
    if (v < threshold) v *= static_cast<float>(beta);
  return q;
}

Keep keep_at(const nn::UnitGroups& groups, std::span<const float> p, double threshold) {
  Keep keep;
  for (const nn::UnitGroup& group : groups.groups) {
    const auto own = p.subspan(static_cast<size_t>(group.first), static_cast<size_t>(group.count));
    std::vector<int> units;
    for (int u = 0; u < group.count; ++u)
      if (own[static_cast<size_t>(u)] >= threshold) units.push_back(u);
    if (units.empty()) units.push_back(static_cast<int>(std::max_element(own.begin(), own.end()) - own.begin()));
    keep.units.push_back(std::move(units));
  }
  return keep;
}

Keep choose_by_probability(const nn::UnitGroups& groups, std::span<const float> p, const Cost& share, double most) {
  const std::vector<double> score(p.begin(), p.end());
  std::vector<float> thresholds{0};
  for (const float v : p) thresholds.push_back(std::nextafter(v, 2.0F));
  std::sort(thresholds.begin(), thresholds.end());
  const auto widths_at = [&](float threshold) { return widths_of(keep_at(groups, p, threshold)); };
  thresholds.erase(std::unique(thresholds.begin(), thresholds.end()), thresholds.end());
  const auto first =
      std::find_if(thresholds.begin(), thresholds.end(), [&](float t) { return share(widths_at(t)) <= most; });
  return choose_under_budget(groups, score, share, most,
                             widths_at(first == thresholds.end() ? thresholds.back() : *first));
}

std::vector<Limit> limits_of(const SearchConfig& config, const nn::NetworkSpec& spec, const nn::UnitGroups& groups,
                             const profile::TimeModel* model) {
  std::vector<Limit> limits;
  if (config.target_size > 0) limits.push_back({size_objective(spec, groups), config.target_size});
  if (config.max_ms > 0) {
    CHECK(model != nullptr);
    limits.push_back({time_objective(spec, groups, *model), config.max_ms});
  }
  if (config.max_mb > 0) limits.push_back({memory_objective(spec, groups), config.max_mb});
  return limits;
}

// log P = z log q + (1 - z) log(1 - q)
std::vector<double> score_gradient(std::span<const float> masks, std::span<const float> q,
                                   std::span<const double> advantage) {
  // Of each unit what a kept and a dropped one add, so that the sum over examples holds no division.
  std::vector<double> kept(q.size()), dropped(q.size()), gradient(q.size());
  for (size_t u = 0; u < q.size(); ++u) {
    const double at = std::clamp(double{q[u]}, kSmallest, 1 - kSmallest);
    kept[u] = 1 / at;
    dropped[u] = -1 / (1 - at);
  }
  const double scale = 1.0 / static_cast<double>(advantage.size());
  for (size_t b = 0; b < advantage.size(); ++b) {
    const float* z = masks.data() + b * q.size();
    const double weight = scale * advantage[b];
    for (size_t u = 0; u < q.size(); ++u) gradient[u] += weight * (z[u] > 0 ? kept[u] : dropped[u]);
  }
  return gradient;
}

std::vector<double> slope_gradient(std::span<const float> masks, std::span<const float> slopes, size_t units) {
  std::vector<double> gradient(units);
  const double examples = static_cast<double>(slopes.size()) / static_cast<double>(units);
  for (size_t first = 0; first < slopes.size(); first += units)
    for (size_t u = 0; u < units; ++u) {
      const double slope = examples * slopes[first + u];  // of the example's own loss
      gradient[u] += (masks[first + u] > 0 ? slope - 0.5 * slope * slope : 0.5 * slope) / examples;
    }
  return gradient;
}

}  // namespace fdi::compress
