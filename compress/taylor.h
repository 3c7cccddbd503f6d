// Taylor importance: what the loss would change by, to first order, without a unit. From batch norm |gamma dL/dgamma +
// beta dL/dbeta| (Molchanov et al. 2019), where a unit passes none from the weights that produce it |sum of w dL/dw|.
// Called in rounds of pruning.
#pragma once
#include <span>
#include <vector>

#include "nn/network.h"
#include "nn/unit_groups.h"

namespace fdi::compress {

class TaylorImportance {
 public:
  TaylorImportance(const nn::NetworkSpec& spec, const nn::UnitGroups& groups);

  // After a backward pass: the gradient of a batch's mean loss, aligned with Parameters::trainable().
  void add(std::span<const float> weights, std::span<const float> gradients);
  // By unit: the mean over the batches; of several norms of one unit the sum.
  std::vector<double> mean() const;

 private:
  struct Tensor {
    int64_t offset = 0, size = 0;
    std::vector<int> unit;  // by index of its last axis
  };
  std::vector<Tensor> gammas_, betas_, producers_;
  std::vector<bool> has_norm_;
  std::vector<double> sum_, products_;
  int batches_ = 0;
};

}  // namespace fdi::compress
