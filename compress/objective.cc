#include "compress/objective.h"

#include <algorithm>
#include <cmath>
#include <memory>

#include "compress/layer_memo.h"
#include "nn/fuse.h"
#include "profile/op_model.h"
#include "profile/time_model.h"

namespace fdi::compress {
namespace {

int64_t trainable_floats(const nn::NetworkSpec& spec) {
  int64_t floats = 0;
  for (const auto& e : nn::Parameters::list(spec)) floats += e.spec.trainable ? e.spec.shape.size() : 0;
  return floats;
}

}  // namespace

Objective no_objective() {
  return {"none", "", [](std::span<const int>) { return 0.0; }};
}

Objective flops_objective(const nn::NetworkSpec& spec, const nn::UnitGroups& groups) {
  return {"flops", "MFLOP", [layers = std::make_shared<LayerMemo>(spec, groups)](std::span<const int> widths) {
            double flops = 0;
            for (const profile::Structure& s : layers->at(widths)) flops += s[profile::Field::kFlops];
            return flops / 1e6;
          }};
}

Objective time_objective(const nn::NetworkSpec& spec, const nn::UnitGroups& groups, const profile::TimeModel& model) {
  Objective objective{"time", "ms",
                      [layers = std::make_shared<LayerMemo>(spec, groups), model](std::span<const int> widths) {
                        double us = 0;
                        for (const profile::Structure& s : layers->at(widths)) us += model.op(s.op).predict_us(s);
                        return us / 1000;
                      }};
  objective.cost(nn::group_counts(groups));  // says now what the model does not know
  return objective;
}

Objective memory_objective(const nn::NetworkSpec& spec, const nn::UnitGroups& groups) {
  return {"memory", "MiB", [spec, groups](std::span<const int> widths) {
            const nn::NetworkSpec narrow = nn::inference_spec(nn::with_widths(spec, groups, widths));
            return static_cast<double>(nn::Network::plan(narrow, 1, nn::Mode::kInference).total()) / (1 << 20);
          }};
}

Objective size_objective(const nn::NetworkSpec& spec, const nn::UnitGroups& groups) {
  return {"size", "", [spec, groups, all = static_cast<double>(trainable_floats(spec))](std::span<const int> widths) {
            return static_cast<double>(trainable_floats(nn::with_widths(spec, groups, widths))) / all;
          }};
}

std::vector<double> cost_slope(const Objective& objective, const nn::UnitGroups& groups,
                               std::span<const double> expected) {
  std::vector<int> widths = rounded_widths(groups, expected);
  std::vector<double> slope;
  for (size_t g = 0; g < widths.size(); ++g) {
    const int at = widths[g], count = groups.groups[g].count;
    const int low = std::max(1, at - kSlopeReach), high = std::min(count, at + kSlopeReach);
    widths[g] = high;
    const double above = objective.cost(widths);
    widths[g] = low;
    const double below = objective.cost(widths);
    widths[g] = at;
    slope.push_back(high > low ? (above - below) / (high - low) : 0);
  }
  return slope;
}

std::vector<int> rounded_widths(const nn::UnitGroups& groups, std::span<const double> expected) {
  std::vector<int> widths;
  for (size_t g = 0; g < expected.size(); ++g)
    widths.push_back(std::clamp(static_cast<int>(std::lround(expected[g])), 1, groups.groups[g].count));
  return widths;
}

Cost largest_share(std::vector<Limit> limits) {
  return [limits = std::move(limits)](std::span<const int> widths) {
    double share = 0;
    for (const Limit& limit : limits) share = std::max(share, limit.what.cost(widths) / limit.most);
    return share;
  };
}

}  // namespace fdi::compress
