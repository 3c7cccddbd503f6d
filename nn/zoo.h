// The zoo: networks by name. Called by `fastdeepiot train|bench|info --zoo NAME` and by tests.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "nn/spec.h"

namespace fdi::nn {

struct ZooOptions {
  double width = 1;  // factor on every hidden width (channels, units); rounded, at least 1
  int classes = 0;   // 0: the network's own number
  Shape input{};     // rank 0: the network's own input
};

// Throws Error for an unknown name (the known ones are listed), a width that is not in (0, 16], and an input that the
// network's layers do not fit.
NetworkSpec make_zoo(std::string_view name, const ZooOptions& options = {});
std::vector<std::string> zoo_names();

}  // namespace fdi::nn
