// The ISA switch: what is forced stays in force.
#include "kernels/isa.h"

#include <gmock/gmock.h>

#include "core/error.h"

namespace fdi::kernels {
namespace {

TEST(Isa, AForcedTargetStaysUntilTheNextChoice) {
  for (const std::string& name : available_isas()) {
    set_isa(name);
    EXPECT_EQ(isa(), name);
  }
  set_isa("auto");
  EXPECT_EQ(isa(), available_isas().front());
  EXPECT_THAT(available_isas(), ::testing::Contains("scalar"));
}

#ifdef __ARM_NEON
TEST(Isa, NeonIsFoundWhereTheCompilerCountsOnIt) { EXPECT_EQ(available_isas().front(), "neon"); }
#endif

TEST(Isa, AnUnknownNameIsRefusedWithTheList) {
  set_isa("scalar");
  try {
    set_isa("avx9000");
    FAIL();
  } catch (const core::Error& e) {
    EXPECT_THAT(e.what(), ::testing::HasSubstr("scalar"));
  }
  EXPECT_EQ(isa(), "scalar") << "a refused name changes nothing";
  set_isa("auto");
}

}  // namespace
}  // namespace fdi::kernels
