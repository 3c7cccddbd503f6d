// Which device a time was measured on: a time model holds for one of them and no other.
#pragma once
#include <nlohmann/json_fwd.hpp>
#include <string>

namespace fdi::device {

struct Identity {
  std::string machine;  // board or product name as the system tells it, "unknown" where it does not
  std::string cpu;      // "AMD EPYC"
  std::string os;       // "Linux 6.1 x86_64"
  std::string engine, engine_version;
  std::string isa;  // of the native engine; of others the best one of the machine, which they pick themselves
  int threads = 1;
  int frequency_mhz = 0;  // where the system fixes or limits it (cpufreq), rounded to 100; 0: not told
  // Not part of the key, they explain a spread:
  std::string governor;   // "performance", ...; empty: not told
  bool boost = false;     // the clock may rise above its nominal speed as long as the chip stays cool
  bool emulated = false;  // under qemu: times mean nothing
  bool operator==(const Identity&) const = default;
};

// Fields that make a device, joined: equal keys, comparable times.
std::string key(const Identity& identity);
// The key for a picture's title: without what the system does not tell.
std::string label(const Identity& identity);
// This machine with the engine, ISA and threads in force. `root` holds proc/ and sys/.
Identity this_device(const std::string& engine, const std::string& engine_version, const std::string& root = "/");
// Empty where the clock is fixed, or nothing is told; else what may change it and the commands that fix it.
std::string clock_warning(const Identity& identity);
nlohmann::json identity_to_json(const Identity& identity);
Identity identity_from_json(const nlohmann::json& json, const std::string& where);

}  // namespace fdi::device
