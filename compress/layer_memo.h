// LayerMemo: what each layer of a network is at given widths, remembered. A search asks what thousands of structures
// cost; a layer depends on few of the widths, so most of its shapes have been seen before. Called by the objectives and
// by expansion, from any thread.
#pragma once
#include <map>
#include <mutex>
#include <span>
#include <vector>

#include "nn/unit_groups.h"
#include "profile/features.h"

namespace fdi::profile {
class TimeModel;
}

namespace fdi::compress {

class LayerMemo {
 public:
  LayerMemo(const nn::NetworkSpec& spec, const nn::UnitGroups& groups);

  // The layers that run when the network with these widths infers, in order.
  std::vector<profile::Structure> at(std::span<const int> widths) const;
  // The groups whose widths the layer depends on, ascending.
  const std::vector<size_t>& groups_of(size_t layer) const { return depends_[layer]; }
  // Names of them, as profile::predict_network has them.
  const std::vector<std::string>& names() const { return names_; }

 private:
  struct Known {
    profile::Structure structure;
    int64_t bytes = 0;  // weights and outputs
  };
  void learn(std::span<const int> widths) const;

  const nn::NetworkSpec spec_;
  const nn::UnitGroups groups_;
  std::vector<std::string> names_;
  std::vector<std::vector<size_t>> depends_;                      // by layer: see groups_of
  mutable std::mutex mutex_;                                      // of what follows
  mutable std::vector<std::map<std::vector<int>, Known>> known_;  // by layer, by those widths
};

}  // namespace fdi::compress
