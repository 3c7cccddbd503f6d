// Engines under test against the native one.
#include "device/engine.h"

#include <gtest/gtest.h>

#include "core/error.h"

namespace fdi::device {
namespace {

TEST(Engine, NamesBeginWithNative) { EXPECT_EQ(engine_names().front(), "native"); }

TEST(Engine, AnUnknownNameIsAnErrorThatListsTheKnownOnes) {
  try {
    make_engine("nativ");
    FAIL() << "nothing was thrown";
  } catch (const core::Error& e) {
    for (const std::string& name : engine_names()) EXPECT_NE(std::string(e.what()).find(name), std::string::npos);
  }
}

TEST(Engine, TellsNameAndVersion) {
  for (const std::string& name : engine_names()) {
    const std::unique_ptr<Engine> engine = make_engine(name);
    EXPECT_EQ(engine->name(), name);
    EXPECT_FALSE(engine->version().empty()) << name;
  }
}

}  // namespace
}  // namespace fdi::device
