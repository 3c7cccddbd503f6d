// Table 5: the tree-structured model beside regressors that nobody can read (SVR, decision tree, random forest, boosted
// trees, a neural network, by scikit-learn) and beside FLOPs alone, all trained and judged on the same samples.
// Called by `fastdeepiot fit --compare`.
#pragma once
#include <map>
#include <string>
#include <vector>

#include "profile/time_model.h"

namespace fdi::profile {

struct Comparison {
  // Names in the order of the table: "FastDeepIoT", "SVR", "DT", "RF", "GBRT", "DNN", "FLOPs only".
  std::vector<std::string> regressors;
  std::map<nn::Op, std::vector<OpQuality>> quality;  // of each regressor; noise floor and p-values are left out
  std::string text() const;                          // MAPE per op and regressor
};

// Throws Error where python3 or scikit-learn is missing, and what TimeModel::fit throws.
Comparison compare(const SampleSet& set, const FitOptions& options = {});

}  // namespace fdi::profile
