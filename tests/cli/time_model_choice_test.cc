// Which time model a command takes: a file's, the newest of the database that knows the network, none; and what it
// refuses.
#include "cli/time_model_choice.h"

#include <gmock/gmock.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/file.h"
#include "core/threads.h"
#include "kernels/isa.h"
#include "nn/zoo.h"
#include "tests/compress/planted_model.h"
#include "tests/profile/samples.h"
#include "tests/temp_folder.h"

namespace fdi::cli {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

class TimeModelChoice : public ::testing::Test, public TempFolder {
 protected:
  void SetUp() override { options_.database = file("f.db"); }
  std::string file(const char* name) const { return path(name); }

  static profile::TimeModel model(const nn::NetworkSpec& spec, double us, const device::Identity& device) {
    return compress::planted_model(
        spec, [us](const profile::Structure&) { return us; }, device, 30);
  }
  double total_us() const {
    return profile::predict_network(find_time_model(options_, device_, lenet_)->model, lenet_).total_us;
  }

  TimingOptions options_;
  const device::Identity device_ = profile::test_device();
  const nn::NetworkSpec lenet_ = nn::make_zoo("lenet");
  const nn::NetworkSpec mlp_{
      "mlp",
      {40},
      {{nn::Op::kFc, "a", {nn::LayerSpec::kInput}, {.units = 30}}, {nn::Op::kFc, "b", {0}, {.units = 10}}}};
};

TEST_F(TimeModelChoice, TheNewestThatKnowsTheNetwork) {
  EXPECT_FALSE(find_time_model(options_, device_, lenet_));
  EXPECT_FALSE(std::filesystem::exists(file("f.db"))) << "looking makes no database";
  const auto parts = static_cast<double>(device::components(lenet_).size());
  profile::Store store(file("f.db"));
  store.add_model(device_, model(mlp_, 9, device_).to_json());
  EXPECT_FALSE(find_time_model(options_, device_, lenet_)) << "it knows no convolutions";
  store.add_model(device_, model(lenet_, 2, device_).to_json());
  EXPECT_NEAR(total_us(), 2 * parts, 0.01 * parts);
  store.add_model(device_, model(lenet_, 3, device_).to_json());
  store.add_model(device_, model(mlp_, 9, device_).to_json());
  EXPECT_NEAR(total_us(), 3 * parts, 0.01 * parts);
  device::Identity other = device_;
  other.threads = 2;
  EXPECT_FALSE(find_time_model(options_, other, lenet_));
}

TEST_F(TimeModelChoice, AFileBeforeTheDatabase) {
  profile::Store(file("f.db")).add_model(device_, model(lenet_, 2, device_).to_json());
  core::write_file_atomically(file("m.json"), model(lenet_, 5, device_).to_json().dump());
  options_.model = file("m.json");
  const auto parts = static_cast<double>(device::components(lenet_).size());
  EXPECT_NEAR(total_us(), 5 * parts, 0.01 * parts);
  EXPECT_FALSE(find_time_model(options_, device_, lenet_)->forced());
  core::write_file_atomically(file("m.json"), model(mlp_, 5, device_).to_json().dump());
  EXPECT_THAT([&] { find_time_model(options_, device_, lenet_); },
              ThrowsMessage<core::Error>(HasSubstr("m.json: knows no times of conv2d")));
}

TEST_F(TimeModelChoice, AnotherDeviceOnlyByForce) {
  device::Identity other = device_;
  other.cpu = "Other CPU";
  core::write_file_atomically(file("m.json"), model(lenet_, 5, other).to_json().dump());
  options_.model = file("m.json");
  EXPECT_THAT([&] { find_time_model(options_, device_, lenet_); },
              ThrowsMessage<core::Error>(AllOf(HasSubstr("ANOTHER DEVICE"), HasSubstr("--force"))));
  options_.force = true;
  EXPECT_TRUE(find_time_model(options_, device_, lenet_)->forced());
}

TEST_F(TimeModelChoice, WithoutOneTheCommandsAreNamed) {
  options_.engine = "onednn";
  options_.threads = 2;
  EXPECT_THAT([&] { fail_no_time_model(options_, device_, mlp_, "m.safetensors"); },
              ThrowsMessage<core::Error>(
                  AllOf(HasSubstr("`fastdeepiot profile --for m.safetensors --engine onednn --threads 2 --db "),
                        HasSubstr("then `fastdeepiot fit --engine onednn --threads 2"))));
}

// What the newest model knows is not missing.
TEST_F(TimeModelChoice, OnlyWhatIsMissingIsNamed) {
  profile::Store(file("f.db")).add_model(device_, model(mlp_, 2, device_).to_json());
  EXPECT_FALSE(find_time_model(options_, device_, lenet_));
  EXPECT_THAT([&] { fail_no_time_model(options_, device_, lenet_, "lenet"); },
              ThrowsMessage<core::Error>(HasSubstr("no time model of conv2d, max_pool in ")));
}

TEST_F(TimeModelChoice, TimingLeavesThreadsAndInstructionSetAsTheyWere) {
  const int threads = core::threads();
  const std::string isa = kernels::isa();
  options_.threads = threads + 1;
  options_.isa = "scalar";
  {
    const AsTimed timed(options_);
    EXPECT_EQ(core::threads(), threads + 1);
    EXPECT_EQ(timed.identity().isa, "scalar");
    EXPECT_EQ(timed.identity().threads, threads + 1);
  }
  EXPECT_EQ(core::threads(), threads);
  EXPECT_EQ(kernels::isa(), isa);
  options_.threads = 0;
  EXPECT_THROW(AsTimed{options_}, core::Error);
  options_.threads = 1;
  options_.engine = "onednn";
  EXPECT_THAT([&] { AsTimed{options_}; }, ThrowsMessage<core::Error>(HasSubstr("picks its instruction set itself")));
  EXPECT_EQ(kernels::isa(), isa);
  EXPECT_EQ(core::threads(), threads);
}

}  // namespace
}  // namespace fdi::cli
