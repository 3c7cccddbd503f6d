#include "core/shape.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "core/error.h"

namespace fdi::core {

std::string to_string(const Shape& shape) {
  return fmt::format("({})", fmt::join(shape.dim.begin(), shape.dim.begin() + shape.rank, ", "));
}

Shape with_batch(int n, const Shape& shape) {
  if (shape.rank >= Shape::kMaxRank)
    fail("shape {} has {} axes; at most {} fit beside the batch", to_string(shape), shape.rank, Shape::kMaxRank - 1);
  Shape out;
  out.rank = shape.rank + 1;
  out.dim[0] = n;
  for (int i = 0; i < shape.rank; ++i) out.dim[i + 1] = shape.dim[i];
  return out;
}

}  // namespace fdi::core
