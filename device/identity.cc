// Reads the identity from /proc, /sys and uname; its key and JSON.
#include "device/identity.h"

#include <elf.h>
#include <fmt/format.h>
#include <sys/utsname.h>

#include <array>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <string_view>

#include "core/cpu.h"
#include "core/text.h"
#include "core/threads.h"
#include "device/json.h"
#include "kernels/isa.h"

namespace fdi::device {
namespace {

// First line of a file, without the zero byte that the device tree ends its texts with; empty where there is none.
std::string first_line(const std::string& path) {
  std::ifstream in(path);
  std::string line;
  std::getline(in, line);
  while (!line.empty() && (line.back() == '\0' || line.back() == ' ')) line.pop_back();
  return line;
}

std::string first_of(const std::string& root, std::initializer_list<const char*> files) {
  for (const char* file : files)
    if (std::string line = first_line(root + file); !line.empty()) return line;
  return "";
}

// "Linux 6.1 x86_64": the kernel's patch level does not make another device.
std::string operating_system() {
  utsname name{};
  if (::uname(&name) != 0) return "unknown";
  const std::string release = name.release;
  const size_t minor = release.find_first_not_of("0123456789", release.find('.') + 1);
  return fmt::format("{} {} {}", name.sysname, release.substr(0, minor), name.machine);
}

// The processor that an executable file is for; 0 where it cannot be read.
int elf_machine(const std::string& path) {
  std::array<unsigned char, 20> header{};
  std::ifstream in(path, std::ios::binary);
  in.read(reinterpret_cast<char*>(header.data()), header.size());
  if (in.gcount() != static_cast<std::streamsize>(header.size()) || header[0] != ELFMAG0) return 0;
  const bool little = header[EI_DATA] == ELFDATA2LSB;
  return little ? header[18] | header[19] << 8 : header[18] << 8 | header[19];
}

// qemu shows a program its own file as /proc/self/exe, but the name by thread leads to qemu itself: an executable for
// another processor than the program. (qemu 7.2; a later one may hide that too, so runners also look at their command.)
bool under_emulator(const std::string& root) {
  const int own = elf_machine(root + "proc/self/exe"), running = elf_machine(root + "proc/thread-self/exe");
  return own != 0 && running != 0 && own != running;
}

}  // namespace

std::string key(const Identity& d) {
  std::string text = fmt::format("{} | {} | {} | {} {} | {} | {} {}", d.machine, d.cpu, d.os, d.engine,
                                 d.engine_version, d.isa, d.threads, d.threads == 1 ? "thread" : "threads");
  if (d.frequency_mhz > 0) text += fmt::format(" | {} MHz", d.frequency_mhz);
  if (d.emulated) text += " | emulated";
  return text;
}

std::string label(const Identity& device) {
  std::string text = key(device);
  constexpr std::string_view kUnknown = "unknown | ";
  while (text.starts_with(kUnknown)) text.erase(0, kUnknown.size());
  return text;
}

Identity this_device(const std::string& engine, const std::string& engine_version, const std::string& root) {
  Identity d;
  d.machine = first_of(root, {"proc/device-tree/model", "sys/class/dmi/id/product_name"});
  if (d.machine.empty()) d.machine = "unknown";
  d.cpu = core::cpu_info().model;
  d.os = operating_system();
  d.engine = engine;
  d.engine_version = engine_version;
  d.isa = engine == "native" ? kernels::isa() : kernels::available_isas().front();
  d.threads = core::threads();
  const std::string cpufreq = "sys/devices/system/cpu/cpu0/cpufreq/";
  d.governor = first_line(root + cpufreq + "scaling_governor");
  if (double khz = 0; std::ifstream(root + cpufreq + "scaling_max_freq") >> khz)
    d.frequency_mhz = static_cast<int>(std::lround(khz / 1e5)) * 100;
  d.boost = first_line(root + "sys/devices/system/cpu/cpufreq/boost") == "1" ||
            first_line(root + "sys/devices/system/cpu/intel_pstate/no_turbo") == "0";
  d.emulated = under_emulator(root);
  return d;
}

std::string clock_warning(const Identity& d) {
  std::string what, commands;
  const auto add = [](std::string& list, const char* joint, const std::string& text) {
    list += (list.empty() ? "" : joint) + text;
  };
  if (!d.governor.empty() && d.governor != "performance") {
    add(what, " and ", fmt::format("the governor \"{}\" changes the clock with the load", d.governor));
    add(commands, "; ", "echo performance | tee /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor");
  }
  if (d.boost) {
    add(what, " and ", "the clock rises above its nominal speed while the chip is cool");
    add(commands, "; ",
        "echo 0 > /sys/devices/system/cpu/cpufreq/boost (Intel: echo 1 > "
        "/sys/devices/system/cpu/intel_pstate/no_turbo)");
  }
  return what.empty() ? ""
                      : fmt::format("{}: {}; for steadier times, as root on the device: {}", d.machine, what, commands);
}

nlohmann::json identity_to_json(const Identity& d) {
  return {{"machine", d.machine},
          {"cpu", d.cpu},
          {"os", d.os},
          {"engine", d.engine},
          {"engine_version", d.engine_version},
          {"isa", d.isa},
          {"threads", d.threads},
          {"frequency_mhz", d.frequency_mhz},
          {"governor", d.governor},
          {"boost", d.boost},
          {"emulated", d.emulated}};
}

Identity identity_from_json(const nlohmann::json& json, const std::string& where) {
  Identity d;
  const auto text = [&](const char* key) { return core::printable(text_member(json, key, where)); };
  d.machine = text("machine");
  d.cpu = text("cpu");
  d.os = text("os");
  d.engine = text("engine");
  d.engine_version = text("engine_version");
  d.isa = text("isa");
  d.threads = int_member(json, "threads", 1, 1024, where);
  d.frequency_mhz = int_member(json, "frequency_mhz", 0, 1 << 20, where);
  d.governor = text("governor");
  d.boost = bool_member(json, "boost", where);
  d.emulated = bool_member(json, "emulated", where);
  return d;
}

}  // namespace fdi::device
