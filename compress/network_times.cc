#include "compress/network_times.h"

#include <map>

#include "core/check.h"

namespace fdi::compress {

using profile::Field;

NetworkTimes::NetworkTimes(const nn::NetworkSpec& spec, const nn::UnitGroups& groups, const profile::TimeModel& model)
    : spec_(spec), groups_(groups), model_(model), own_(nn::group_counts(groups)) {
  const std::vector<device::Component> as_is = components(own_);
  groups_of_.resize(as_is.size());
  axes_of_.resize(as_is.size());
  total_us(own_);  // says now what the model does not know
  for (size_t g = 0; g < own_.size(); ++g) {
    std::vector<int> widths = own_;
    ++widths[g];
    const std::vector<device::Component> wider = components(widths);
    CHECK(wider.size() == as_is.size());
    for (size_t i = 0; i < as_is.size(); ++i) {
      if (wider[i].layer == as_is[i].layer && wider[i].in == as_is[i].in) continue;
      groups_of_[i].push_back(static_cast<int>(g));
      const profile::Structure before = profile::structure_of(as_is[i]), after = profile::structure_of(wider[i]);
      for (const Field field : {Field::kInChannel, Field::kOutChannel})
        if (after[field] > before[field])
          axes_of_[i].push_back({field, static_cast<int>(g), static_cast<int>(before[field]),
                                 static_cast<int>(after[field] - before[field])});
    }
  }
}

std::vector<device::Component> NetworkTimes::components(std::span<const int> widths) const {
  return device::components(nn::with_widths(spec_, groups_, widths));
}

double NetworkTimes::total_us(std::span<const int> widths) const {
  return profile::predict_us(model_, components(widths));
}

std::optional<std::vector<CostTable>> NetworkTimes::tables(std::span<const std::vector<int>> candidates,
                                                           std::span<const int> around, size_t largest) const {
  std::map<std::vector<int>, std::vector<size_t>> together;  // groups: the components that hang on just these
  for (size_t i = 0; i < size(); ++i)
    if (!groups_of_[i].empty()) together[groups_of_[i]].push_back(i);
  std::vector<int> choices;
  for (const auto& widths : candidates) choices.push_back(static_cast<int>(widths.size()));
  size_t entries = 0;
  for (const auto& [groups, unused] : together) entries += table_size(choices, groups, largest);
  if (entries > largest) return std::nullopt;

  const int64_t bytes = components(around).front().network_bytes;
  std::vector<CostTable> out;
  for (const auto& [groups, members] : together) {
    CostTable& table = out.emplace_back(CostTable{groups, {}});
    std::vector<int> choice(choices.size()), widths(around.begin(), around.end());
    do {
      for (const int g : groups) {
        const auto at = static_cast<size_t>(g);
        widths[at] = candidates[at][static_cast<size_t>(choice[at])];
      }
      std::vector<device::Component> all = components(widths);
      double us = 0;
      for (const size_t i : members) {
        all[i].network_bytes = bytes;
        us += model_.predict_us(all[i]);
      }
      table.cost.push_back(us);
    } while (next_choice(choices, groups, choice));
  }
  return out;
}

}  // namespace fdi::compress
