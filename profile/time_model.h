// TimeModel: how long a component takes on one device, as a tree of linear rules per op that a person can read
// (paper section 3.1.2, Algorithm 1). Fitted from samples; asked by predict, by compression and by the report.
#pragma once
#include <cmath>
#include <map>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <vector>

#include "profile/sample.h"

namespace fdi::profile {

enum class Features { kPaper, kGranular };
enum class Weighting { kRelative, kPaper };  // squared error of (y^ - y) / y, or of y^ - y as printed in equation 4

struct FitOptions {
  Features features = Features::kGranular;
  Weighting weighting = Weighting::kRelative;
  // The paper's stopping rules: a node whose fit is this good is a leaf, and so is one with fewer samples. Granular
  // trees are grown on and pruned by cross-validation instead (tree_prune.h); min_samples is what an op needs for a
  // model.
  double stop_mape = 0.05;
  int min_samples = 15;
  int min_child = 8;
  double held_out = 0.25;
  uint64_t seed = 1;  // of the split

  int least_samples() const { return static_cast<int>(std::ceil(min_samples / (1 - held_out))); }  // of an op
};

struct Prediction {
  double us = 0, low_us = 0, high_us = 0;  // split-conformal interval, 90%
  std::string rule;                        // the path and the leaf's law: "in_channel is a multiple of 4, ... -> ..."
  std::string outside;                     // empty, or what lies outside the sampled scope: "out_channel 700 > 512"
};

struct OpQuality {                // on the held-out samples
  int samples = 0, held_out = 0;  // measured in all, and of them unseen by the fit
  double mape = 0, mae_us = 0, r2 = 0, within_5 = 0, within_10 = 0;
  double noise_floor = 0;                                // MAPE between independent passes over the same components
  std::vector<std::pair<std::string, double>> p_values;  // t-test of each explanatory variable, unconstrained OLS
};

class OpModel;  // profile/op_model.h: the tree of one op

class TimeModel {
 public:
  // Leaves out ops that have too few samples: too_few(). Throws Error where none has enough; emulated devices are the
  // caller's part.
  static TimeModel fit(const SampleSet& set, const FitOptions& options = {});
  static TimeModel from_json(const nlohmann::json& json, const std::string& where);
  nlohmann::json to_json() const;

  // Throws Error for an op that was not profiled.
  Prediction predict(const device::Component& component) const;
  double predict_us(const device::Component& component) const;  // the time alone: for searches that ask often
  bool covers(nn::Op op) const { return ops_.contains(op); }
  const OpModel& op(nn::Op op) const;  // throws Error as predict does
  const device::Identity& device() const { return device_; }
  std::map<nn::Op, OpQuality> quality() const;
  const std::map<nn::Op, int>& too_few() const { return too_few_; }  // samples of what fit() left out
  std::string rules() const;                                         // the trees as text
  std::string dot(nn::Op op) const;                                  // one tree as Graphviz source (figure 2)

 private:
  device::Identity device_;
  std::map<nn::Op, std::shared_ptr<const OpModel>> ops_;  // shared: copies of a model are cheap
  std::map<nn::Op, int> too_few_;                         // not part of the JSON
};

// Sum over components(spec), and what of it lies outside the scope. The sum is the whole: layers are timed where they
// run in a network, with nothing between them.
struct LayerPrediction {
  std::string name;
  Prediction prediction;
};
struct NetworkPrediction {
  std::vector<LayerPrediction> layers;
  double total_us = 0;
};
NetworkPrediction predict_network(const TimeModel& model, const nn::NetworkSpec& spec);

}  // namespace fdi::profile
