// A fixture whose tests run once per instruction set of this machine, and the numbers that they feed to the kernels.
#pragma once
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "core/rng.h"
#include "kernels/isa.h"

namespace fdi::kernels {

class EveryIsa : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    set_isa(GetParam());
    ASSERT_EQ(isa(), GetParam());
  }
  void TearDown() override { set_isa("auto"); }
};

#define FDI_FOR_EVERY_ISA(fixture)                                                       \
  INSTANTIATE_TEST_SUITE_P(Isa, fixture, ::testing::ValuesIn(kernels::available_isas()), \
                           [](const auto& test) { return test.param; })

inline std::vector<float> random_floats(size_t n, uint64_t seed, float low = -1, float high = 1) {
  core::Rng rng(seed, core::Stream::kTest);
  std::vector<float> out(n);
  for (float& v : out) v = rng.uniform(low, high);
  return out;
}

// |got - want| <= tolerance * max(1, |want|), element by element.
template <class Got, class Want>
void expect_close(const Got& got, const Want& want, double tolerance, const std::string& what) {
  ASSERT_EQ(got.size(), want.size()) << what;
  for (size_t i = 0; i < got.size(); ++i) {
    const double scale = std::max(1.0, std::abs(static_cast<double>(want[i])));
    ASSERT_LE(std::abs(got[i] - static_cast<double>(want[i])), tolerance * scale)
        << what << ": element " << i << ": got " << got[i] << ", want " << want[i];
  }
}

}  // namespace fdi::kernels
