// Columns against the value of a variable in one sample.
#include "profile/variable_columns.h"

#include <gtest/gtest.h>

#include "tests/profile/planted.h"

namespace fdi::profile {
namespace {

constexpr double kTolerance = 1e-14;  // of a product of three factors in another order

TEST(Columns, HoldWhatTheVariableIsInEverySample) {
  const SampleSet set = planted_convs(
      60, [](const Structure& s) { return 5 + 1e-5 * s[Field::kFlops]; }, 0.01);
  std::vector<Observation> data;
  for (const Sample& sample : set.samples) data.push_back({structure_of(sample.component), sample.time.median_us});
  for (const Weighting weighting : {Weighting::kRelative, Weighting::kPaper}) {
    Columns columns(data, weighting);
    std::vector<Variable> variables{{.field = Field::kMem}, {.field = Field::kFlops}};
    variables.back().granularity[Axis::kOutChannel] = 16;
    variables.back().granularity[Axis::kPixels] = 6;
    std::vector<Gate> gates = columns.gates();
    ASSERT_GT(gates.size(), 20U);
    gates.push_back({.field = Field::kMemIn, .above = 1000});  // as another search found it, of other samples
    for (const Variable& plain : std::vector(variables))
      for (const Gate& gate : gates) {
        variables.push_back(plain);
        variables.back().gate = gate;
      }
    for (const int time : {1, 2})  // worked out, and remembered
      for (const Variable& v : variables) {
        const Column column = columns.of(v);
        ASSERT_EQ(column.size(), data.size());
        for (size_t i = 0; i < data.size(); ++i) {
          const double wanted = (weighting == Weighting::kRelative ? 1 / data[i].us : 1) * value(v, data[i].structure);
          EXPECT_NEAR(column[i], wanted, kTolerance * wanted) << describe(nn::Op::kConv2d, v) << " time " << time;
        }
      }
    for (size_t i = 0; i < data.size(); ++i)
      EXPECT_NEAR(columns.target()[i], columns.scale()[i] * data[i].us, kTolerance * data[i].us);
  }
}

}  // namespace
}  // namespace fdi::profile
