// What the tests of the search share: a network that nobody trained, and settings that end in a moment.
#pragma once
#include "compress/search.h"

namespace fdi::compress {

inline nn::Model untrained(const nn::NetworkSpec& spec) {
  nn::Parameters parameters(spec);
  parameters.initialize(1);
  return {spec, std::move(parameters), {{"classes", "[]"}}};
}

inline SearchConfig quick() {
  SearchConfig config;
  config.batch = 16;
  config.stage_steps = 5;
  config.threshold_step = 0.2;
  config.threshold_end = 0.6;
  return config;
}

}  // namespace fdi::compress
