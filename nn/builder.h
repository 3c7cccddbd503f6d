// SpecBuilder: a NetworkSpec written layer by layer. Called by the zoo and by tests; checks nothing, output_shapes
// does.
#pragma once
#include <string>
#include <utility>
#include <vector>

#include "nn/spec.h"

namespace fdi::nn {

class SpecBuilder {
 public:
  SpecBuilder(std::string name, const Shape& input) : spec_{std::move(name), input, {}} {}

  // Reads the layer added last (at first the network's input), or those given. Returns the new layer's index.
  int add(Op op, std::string name, const Attributes& attr = {}) { return add_on({last()}, op, std::move(name), attr); }
  int add_on(std::vector<int> inputs, Op op, std::string name, const Attributes& attr = {}) {
    spec_.layers.push_back({op, std::move(name), std::move(inputs), attr});
    return last();
  }
  int last() const { return static_cast<int>(spec_.layers.size()) - 1; }  // LayerSpec::kInput where there is none
  NetworkSpec take() { return std::move(spec_); }

 private:
  NetworkSpec spec_;
};

}  // namespace fdi::nn
