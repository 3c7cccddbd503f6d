// A fixture whose tests run once per instruction set of this machine, and how results are compared.
#pragma once
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "kernels/isa.h"
#include "tests/kernels/random_data.h"

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

using testing::random_floats;

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
