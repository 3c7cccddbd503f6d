// The identity of this machine, and of machines that the test describes as files.
#include "device/identity.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/threads.h"
#include "kernels/isa.h"
#include "tests/temp_folder.h"

namespace fdi::device {
namespace {

class FakeRoot : public ::testing::Test, public TempFolder {
 protected:
  void SetUp() override { root_ = dir_.string() + "/"; }
  void put(const std::string& file, const std::string& text) const {
    std::filesystem::create_directories(std::filesystem::path(root_ + file).parent_path());
    std::ofstream(root_ + file) << text;
  }
  // The first bytes of a little-endian executable for a processor.
  void put_executable(const std::string& file, int machine) const {
    std::string header(
        "\x7f"
        "ELF\x02\x01\x01",
        7);
    header.resize(18);
    put(file, header + static_cast<char>(machine) + '\0' + std::string(40, '\0'));
  }
  Identity device() const { return this_device("native", "1", root_); }
  std::string root_;
};

TEST_F(FakeRoot, ABoardTellsItsModelAndItsClock) {
  put("proc/device-tree/model", std::string("Raspberry Pi 4 Model B Rev 1.4\0", 31));
  put("sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "ondemand\n");
  put("sys/devices/system/cpu/cpu0/cpufreq/scaling_max_freq", "1485000\n");
  const Identity d = device();
  EXPECT_EQ(d.machine, "Raspberry Pi 4 Model B Rev 1.4");
  EXPECT_EQ(d.governor, "ondemand");
  EXPECT_EQ(d.frequency_mhz, 1500);
  EXPECT_FALSE(d.boost);
  EXPECT_NE(clock_warning(d).find("ondemand"), std::string::npos);
  EXPECT_NE(clock_warning(d).find("scaling_governor"), std::string::npos);
}

TEST_F(FakeRoot, AWorkstationWithAFixedGovernorThatBoosts) {
  put("sys/class/dmi/id/product_name", "X570\n");
  put("sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "performance\n");
  put("sys/devices/system/cpu/cpufreq/boost", "1\n");
  EXPECT_EQ(device().machine, "X570");
  EXPECT_TRUE(device().boost);
  EXPECT_EQ(clock_warning(device()).find("governor \""), std::string::npos);
  EXPECT_NE(clock_warning(device()).find("boost"), std::string::npos);
  put("sys/devices/system/cpu/cpufreq/boost", "0\n");
  EXPECT_EQ(clock_warning(device()), "");
  put("sys/devices/system/cpu/intel_pstate/no_turbo", "0\n");
  EXPECT_TRUE(device().boost);
}

TEST_F(FakeRoot, ASystemThatTellsNothing) {
  const Identity d = device();
  EXPECT_EQ(d.machine, "unknown");
  EXPECT_EQ(d.governor, "");
  EXPECT_EQ(d.frequency_mhz, 0);
  EXPECT_FALSE(d.emulated);
  EXPECT_EQ(clock_warning(d), "");
}

TEST_F(FakeRoot, AnEmulatorRunsAnExecutableForAnotherProcessor) {
  constexpr int kX86 = 62, kArm64 = 183;
  put_executable("proc/self/exe", kArm64);
  put_executable("proc/thread-self/exe", kArm64);
  EXPECT_FALSE(device().emulated);
  put_executable("proc/thread-self/exe", kX86);
  EXPECT_TRUE(device().emulated);
  put("proc/thread-self/exe", "#!/bin/sh");
  EXPECT_FALSE(device().emulated);
}

TEST(Identity, OfThisMachine) {
  core::set_threads(2);
  const Identity d = this_device("native", "1.2");
  EXPECT_EQ(d.isa, kernels::isa());
  EXPECT_EQ(d.threads, 2);
  EXPECT_EQ(d.engine_version, "1.2");
  EXPECT_NE(d.cpu, "");
  EXPECT_EQ(d.os.find("Linux "), 0U) << d.os;
  kernels::set_isa("scalar");
  EXPECT_EQ(this_device("native", "1").isa, "scalar");
  EXPECT_EQ(this_device("onednn", "1").isa, kernels::available_isas().front());  // picks for itself
  kernels::set_isa("");
}

TEST(Identity, KeyTellsDevicesApart) {
  const Identity base = {.machine = "board",
                         .cpu = "A72",
                         .os = "Linux 6.1 aarch64",
                         .engine = "native",
                         .engine_version = "1",
                         .isa = "neon",
                         .threads = 1,
                         .frequency_mhz = 1500,
                         .governor = "performance"};
  EXPECT_EQ(key(base), "board | A72 | Linux 6.1 aarch64 | native 1 | neon | 1 thread | 1500 MHz");
  EXPECT_EQ(label(base), key(base));
  Identity other = base;
  other.machine = "unknown";
  EXPECT_EQ(label(other), "A72 | Linux 6.1 aarch64 | native 1 | neon | 1 thread | 1500 MHz");
  other = base;
  other.governor = "ondemand";
  other.boost = true;
  EXPECT_EQ(key(other), key(base));
  std::vector<Identity> different(9, base);
  different[0].machine = "phone";
  different[1].cpu = "A53";
  different[2].os = "Linux 6.6 aarch64";
  different[3].engine = "xnnpack";
  different[4].engine_version = "2";
  different[5].isa = "scalar";
  different[6].threads = 2;
  different[7].frequency_mhz = 600;
  different[8].emulated = true;
  for (const Identity& d : different) EXPECT_NE(key(d), key(base));
}

TEST(Identity, JsonComesBackAndRefusesWhatIsWrong) {
  Identity d = this_device("native", "1");
  d.emulated = true;
  d.boost = true;
  d.governor = "powersave";
  const nlohmann::json json = identity_to_json(d);
  EXPECT_EQ(identity_from_json(json, "here"), d);
  for (const auto& [key, value] : json.items()) {
    nlohmann::json damaged = json;
    damaged.erase(key);
    EXPECT_THROW(identity_from_json(damaged, "here"), core::Error) << key;
    damaged[key] = nlohmann::json::array();
    EXPECT_THROW(identity_from_json(damaged, "here"), core::Error) << key;
  }
}

}  // namespace
}  // namespace fdi::device
