// The list of all ops. A new op: a value in Op (spec.h), a file layer_X.cc with X_info(), and one line here, twice.
#include <algorithm>
#include <array>

#include "core/check.h"
#include "nn/layer.h"

namespace fdi::nn {

const OpInfo& conv2d_info();
const OpInfo& fc_info();
const OpInfo& flatten_info();
const OpInfo& reshape_info();
const OpInfo& slice_info();
const OpInfo& concat_info();
const OpInfo& add_info();
const OpInfo& batch_norm_info();
const OpInfo& relu_info();
const OpInfo& tanh_info();
const OpInfo& sigmoid_info();
const OpInfo& max_pool_info();
const OpInfo& avg_pool_info();
const OpInfo& global_avg_pool_info();
const OpInfo& dropout_info();
const OpInfo& channel_dropout_info();
const OpInfo& gru_info();
const OpInfo& lstm_info();
const OpInfo& time_mean_info();
const OpInfo& mask_info();

std::span<const OpInfo* const> all_ops() {
  static const std::array ops{
      &conv2d_info(),           //
      &fc_info(),               //
      &flatten_info(),          //
      &reshape_info(),          //
      &slice_info(),            //
      &concat_info(),           //
      &add_info(),              //
      &batch_norm_info(),       //
      &relu_info(),             //
      &tanh_info(),             //
      &sigmoid_info(),          //
      &max_pool_info(),         //
      &avg_pool_info(),         //
      &global_avg_pool_info(),  //
      &dropout_info(),          //
      &channel_dropout_info(),  //
      &gru_info(),              //
      &lstm_info(),             //
      &time_mean_info(),        //
      &mask_info(),             //
  };
  return ops;
}

const OpInfo& op_info(Op op) {
  const auto ops = all_ops();
  const auto found = std::find_if(ops.begin(), ops.end(), [op](const OpInfo* info) { return info->op == op; });
  CHECK(found != ops.end());  // an op that has no line above
  return **found;
}

}  // namespace fdi::nn
