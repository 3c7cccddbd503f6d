// A made-up image set that needs no files and can be learnt: each class is a smooth colour pattern, each example that
// pattern shifted, with its own contrast and noise. Called by open_dataset("synthetic"), and by tests.
#pragma once
#include <cstdint>
#include <string_view>

#include "datasets/dataset.h"

namespace fdi::datasets {

struct SyntheticOptions {
  int classes = 10;
  int height = 32, width = 32;
  int64_t train = 5000, test = 1000;  // examples; label = index % classes
  float noise = 0.3F;                 // amplitude of the uniform noise, as a part of the full range
  uint64_t seed = 1;
};

// "synthetic" or "synthetic:classes=4,height=16,width=16,train=200,test=100,noise=0.3,seed=1".
SyntheticOptions parse_synthetic(std::string_view text);
DatasetPtr make_synthetic(const SyntheticOptions& options, Split split);

}  // namespace fdi::datasets
