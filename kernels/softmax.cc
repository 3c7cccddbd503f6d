// See softmax.h. The maximum is subtracted first: no overflow, and the label's own term keeps its digits.
#include "kernels/softmax.h"

#include <algorithm>
#include <cmath>

#include "kernels/parallel.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/softmax.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/lanes-inl.h"
#include "kernels/math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace fdi::kernels {
namespace HWY_NAMESPACE {

// One example: returns its loss.
float softmax_row(int classes, const float* x, int label, float gradient_factor, float* probability, float* dx) {
  float top = x[0];
  for (int i = 1; i < classes; ++i) top = x[i] > top ? x[i] : top;
  double sum = 0;
  for_lanes(classes, [&](auto d, int64_t i) HWY_ATTR {
    const auto e = exp(d, hn::Sub(hn::LoadU(d, x + i), hn::Set(d, top)));
    sum += static_cast<double>(hn::GetLane(hn::SumOfLanes(d, e)));
  });
  const double loss = std::log(sum) - (static_cast<double>(x[label]) - top);
  const auto inverse = static_cast<float>(1.0 / sum);
  if (probability == nullptr && dx == nullptr) return static_cast<float>(loss);
  for_lanes(classes, [&](auto d, int64_t i) HWY_ATTR {  // exp again: cheaper than another array
    const auto p = hn::Mul(exp(d, hn::Sub(hn::LoadU(d, x + i), hn::Set(d, top))), hn::Set(d, inverse));
    if (probability != nullptr) hn::StoreU(p, d, probability + i);
    if (dx != nullptr) hn::StoreU(hn::Mul(p, hn::Set(d, gradient_factor)), d, dx + i);
  });
  if (dx != nullptr) dx[label] -= gradient_factor;
  return static_cast<float>(loss);
}

}  // namespace HWY_NAMESPACE
}  // namespace fdi::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace fdi::kernels {

HWY_EXPORT(softmax_row);

void softmax_cross_entropy(int batch, int classes, const float* logits, const int* labels, float* losses,
                           float* probabilities, float* dlogits, int threads) noexcept {
  constexpr int64_t kWorthThreads = 16384;  // exponentials
  const auto row = &HWY_DYNAMIC_DISPATCH(softmax_row);
  const int64_t size = int64_t{batch} * classes;
  for_each_index(batch, threads, size >= kWorthThreads, [&](int64_t b) {
    const int64_t at = b * classes;
    losses[b] =
        row(classes, logits + at, labels[b], 1.0F / static_cast<float>(batch),
            probabilities == nullptr ? nullptr : probabilities + at, dlogits == nullptr ? nullptr : dlogits + at);
  });
}

}  // namespace fdi::kernels
#endif
