// NetworkTimes: what a time model says of a network as a function of the widths of its unit groups, and which groups
// each component's time hangs on. Asked by the searches for widths: expansion, knapsack.
#pragma once
#include <optional>
#include <span>
#include <vector>

#include "compress/elimination.h"
#include "nn/unit_groups.h"
#include "profile/features.h"
#include "profile/time_model.h"

namespace fdi::compress {

// A channel count of a component that follows the width of a group: `extent` at the network's own widths.
struct ChannelAxis {
  profile::Field field;  // in_channel or out_channel
  int group = 0;
  int extent = 0, per_unit = 0;
};

class NetworkTimes {
 public:
  // Refers to its arguments. Throws Error for an op that the model does not know.
  NetworkTimes(const nn::NetworkSpec& spec, const nn::UnitGroups& groups, const profile::TimeModel& model);

  const profile::TimeModel& model() const { return model_; }
  const std::vector<int>& own() const { return own_; }  // the network's widths as they are
  size_t size() const { return groups_of_.size(); }     // components
  // By component: the groups whose widths change it, ascending; its channel counts that do.
  std::span<const int> groups_of(size_t component) const { return groups_of_[component]; }
  std::span<const ChannelAxis> axes_of(size_t component) const { return axes_of_[component]; }

  std::vector<device::Component> components(std::span<const int> widths) const;
  double total_us(std::span<const int> widths) const;

  // A table per set of groups: the time of the components that hang on just these, by the choices among `candidates`
  // (by group: widths). What else passes through the caches is taken as it is at `around`. None where the tables would
  // take more than `largest` entries together.
  std::optional<std::vector<CostTable>> tables(std::span<const std::vector<int>> candidates,
                                               std::span<const int> around, size_t largest) const;

 private:
  const nn::NetworkSpec& spec_;
  const nn::UnitGroups& groups_;
  const profile::TimeModel& model_;
  std::vector<int> own_;
  std::vector<std::vector<int>> groups_of_;
  std::vector<std::vector<ChannelAxis>> axes_of_;
};

}  // namespace fdi::compress
