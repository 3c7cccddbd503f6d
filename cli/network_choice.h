// From --zoo NAME or --spec FILE to a NetworkSpec that fits the images. Called by `train` and `info`.
#pragma once
#include <string>

#include "nn/spec.h"

namespace fdi::cli {

// One of `zoo` and `spec` is set. A zoo network takes its input and its number of outputs from the images.
nn::NetworkSpec choose_network(const std::string& zoo, const std::string& spec, double width, const core::Shape& image,
                               int classes);
// Throws Error where the network does not end in one value per class.
void check_outputs(const nn::NetworkSpec& spec, int classes);

}  // namespace fdi::cli
