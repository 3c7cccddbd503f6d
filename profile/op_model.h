// OpModel: the time model of one op: its tree, how good it is on samples that it has not seen, how wide a prediction's
// interval is, and what was sampled. TimeModel holds one per op.
#pragma once
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <vector>

#include "profile/scope.h"
#include "profile/time_model.h"
#include "profile/tree.h"
#include "profile/tree_fit.h"

namespace fdi::profile {

// Samples of one op, split by the seed; the same for any order of the samples. Samples of equal structure are on one
// side, unless there are fewer structures than that takes.
struct Split {
  std::vector<const Sample*> training, held_out;
};
Split split_samples(nn::Op op, std::span<const Sample* const> samples, const FitOptions& options);
std::vector<Observation> observe(std::span<const Sample* const> samples);
// How far predictions of held-out samples are off. The noise floor and the p-values are left to the caller.
OpQuality quality_of(std::span<const double> predicted, std::span<const Observation> held_out);

// MAPE between two measurements of the same components: the medians of the odd and of the even passes.
double noise_floor(std::span<const Sample* const> samples);

nlohmann::json quality_to_json(const OpQuality& quality);

class OpModel {
 public:
  // Of options.least_samples() or more. Throws Error for times that are no positive numbers.
  static OpModel fit(nn::Op op, std::span<const Sample* const> samples, const FitOptions& options);
  static OpModel from_json(nn::Op op, const nlohmann::json& json, const std::string& where);
  nlohmann::json to_json() const;

  Prediction predict(const device::Component& component) const;
  double predict_us(const Structure& structure) const { return tree_.predict(structure); }
  const Tree& tree() const { return tree_; }
  const OpQuality& quality() const { return quality_; }
  const Scope& scope() const { return scope_; }
  std::string rules() const;

 private:
  void set_intervals(std::span<const Observation> training, std::span<const Observation> held_out);
  void write_rules();

  Tree tree_;
  std::vector<double> half_width_;  // of each node: 90% of |measured / predicted - 1| lie below
  std::vector<std::string> rule_;   // of each leaf
  Scope scope_;
  OpQuality quality_;
};

}  // namespace fdi::profile
