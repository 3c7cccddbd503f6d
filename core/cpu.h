// Facts about this machine's processor, read once. Block sizes of kernels and the identity of a device come from here.
#pragma once
#include <cstddef>
#include <string>

namespace fdi::core {

struct CpuInfo {
  std::string model;         // "AMD EPYC" or "unknown"
  size_t l1_bytes = 0;       // data cache of one core
  size_t l2_bytes = 0;       // second level of one core
  size_t l3_bytes = 0;       // last level, shared; 0 where there is none
  double frequency_mhz = 0;  // current, as the system reports it; 0 where it does not
};

// Cache sizes fall back to 32 KiB / 512 KiB / 0 where the system tells nothing.
const CpuInfo& cpu_info();

// Largest resident size of this process so far, in bytes (VmHWM); 0 where the system tells nothing.
size_t peak_memory_bytes();

}  // namespace fdi::core
