#include "core/cpu.h"

#include <cstdlib>
#include <fstream>
#include <sstream>

namespace fdi::core {
namespace {

std::string first_line(const std::string& path) {
  std::ifstream in(path);
  std::string line;
  std::getline(in, line);
  return line;
}

// The value after "key : " in a /proc file; empty where it is absent.
std::string proc_value(const char* path, const std::string& key) {
  std::ifstream in(path);
  for (std::string line; std::getline(in, line);) {
    if (line.compare(0, key.size(), key) != 0) continue;
    const size_t colon = line.find(':');
    if (colon == std::string::npos) continue;
    const size_t start = line.find_first_not_of(" \t", colon + 1);
    return start == std::string::npos ? "" : line.substr(start);
  }
  return "";
}

size_t parse_cache_size(const std::string& text) {  // "32K", "1024K", "32M"
  std::istringstream in(text);
  size_t n = 0;
  char unit = 0;
  in >> n >> unit;
  return unit == 'K' ? n << 10 : unit == 'M' ? n << 20 : n;
}

CpuInfo read_cpu_info() {
  CpuInfo info{"unknown", size_t{32} << 10, size_t{512} << 10, 0, 0};
  for (const char* key : {"model name", "Model", "Hardware"})
    if (std::string v = proc_value("/proc/cpuinfo", key); !v.empty()) {
      info.model = v;
      break;
    }
  if (std::string mhz = proc_value("/proc/cpuinfo", "cpu MHz"); !mhz.empty())
    info.frequency_mhz = std::strtod(mhz.c_str(), nullptr);
  for (int index = 0; index < 8; ++index) {
    const std::string dir = "/sys/devices/system/cpu/cpu0/cache/index" + std::to_string(index) + "/";
    const std::string level = first_line(dir + "level");
    if (level.empty()) break;
    const size_t bytes = parse_cache_size(first_line(dir + "size"));
    if (bytes == 0 || first_line(dir + "type") == "Instruction") continue;
    (level == "1" ? info.l1_bytes : level == "2" ? info.l2_bytes : info.l3_bytes) = bytes;
  }
  return info;
}

}  // namespace

const CpuInfo& cpu_info() {
  static const CpuInfo info = read_cpu_info();
  return info;
}

size_t peak_memory_bytes() {
  const std::string kib = proc_value("/proc/self/status", "VmHWM");
  return size_t{std::strtoull(kib.c_str(), nullptr, 10)} << 10;
}

}  // namespace fdi::core
