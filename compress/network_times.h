// NetworkTimes: what a time model says of a network as a function of the widths of its unit groups, and which groups
// each layer's time hangs on. Asked by expansion.
#pragma once
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "compress/elimination.h"
#include "compress/layer_memo.h"
#include "profile/tree.h"

namespace fdi::compress {

// A channel count of a layer that follows the width of a group: `extent` at the network's own widths.
struct ChannelAxis {
  profile::Field field;  // in_channel or out_channel
  size_t group = 0;
  int extent = 0, per_unit = 0;
};

class NetworkTimes {
 public:
  // Refers to its arguments. Throws Error for an op that the model does not know.
  NetworkTimes(const nn::NetworkSpec& spec, const nn::UnitGroups& groups, const profile::TimeModel& model);

  const std::vector<int>& own() const { return own_; }  // the network's widths as they are
  double total_us(std::span<const int> widths) const;

  size_t size() const { return axes_of_.size(); }  // layers, as inference runs them
  const profile::Tree& tree_of(size_t layer) const;
  const std::vector<size_t>& groups_of(size_t layer) const { return memo_->groups_of(layer); }
  std::span<const ChannelAxis> axes_of(size_t layer) const { return axes_of_[layer]; }
  profile::Structure structure(std::span<const int> widths, size_t layer) const { return memo_->at(widths)[layer]; }

  // A table per set of groups: the time of the layers that hang on just these, by the choices among `candidates` (by
  // group: widths). What else passes through the caches is taken as it is at `around`. None where the tables would take
  // more than `largest` entries together.
  std::optional<std::vector<CostTable>> tables(std::span<const std::vector<int>> candidates,
                                               std::span<const int> around, size_t largest) const;

 private:
  const profile::TimeModel& model_;
  std::unique_ptr<LayerMemo> memo_;
  std::vector<int> own_;
  std::vector<nn::Op> ops_;
  std::vector<std::vector<ChannelAxis>> axes_of_;
};

}  // namespace fdi::compress
