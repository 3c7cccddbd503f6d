#include "kernels/isa.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <hwy/highway.h>

#include <array>
#include <cstdlib>

#include "core/error.h"

namespace fdi::kernels {
namespace {

struct Target {
  int64_t bit;
  const char* name;
};
// Our names, those of the field; Highway calls avx512 "AVX3". Best first.
constexpr std::array<Target, 6> kTargets{{{HWY_AVX3, "avx512"},
                                          {HWY_AVX2, "avx2"},
                                          {HWY_SSE4, "sse4"},
                                          {HWY_SSSE3, "ssse3"},
                                          {HWY_NEON, "neon"},
                                          {HWY_SCALAR, "scalar"}}};

// What the compiler may use everywhere is there, even where Highway 1.0.3 misses it: NEON on 32-bit ARM, and on 64-bit
// ARM without AES instructions (Raspberry Pi 3 and 4).
int64_t machine_targets() {
  static const int64_t targets = (hwy::SupportedTargets() | HWY_ENABLED_BASELINE) & HWY_TARGETS;
  return targets;
}

bool chosen = false;  // then the environment is not asked any more

void choose(int64_t targets) {
  hwy::SetSupportedTargetsForTest(targets);
  hwy::GetChosenTarget().Update(hwy::SupportedTargets());
  chosen = true;
}

}  // namespace

std::vector<std::string> available_isas() {
  std::vector<std::string> names;
  for (const Target& t : kTargets)
    if (machine_targets() & t.bit) names.emplace_back(t.name);
  return names;
}

void set_isa(std::string_view name) {
  if (name.empty() || name == "auto") return choose(machine_targets());
  for (const Target& t : kTargets)
    if (name == t.name && (machine_targets() & t.bit)) return choose(t.bit);
  core::fail("instruction set \"{}\" is not available; this machine has: {}", name, fmt::join(available_isas(), ", "));
}

int64_t isa_target() {
  if (!chosen) {
    const char* name = std::getenv("FASTDEEPIOT_ISA");
    set_isa(name == nullptr ? "auto" : name);
  }
  const int64_t best = hwy::SupportedTargets() & HWY_TARGETS;
  for (const Target& t : kTargets)
    if (best & t.bit) return t.bit;
  return 0;
}

std::string isa_name(int64_t target) {
  for (const Target& t : kTargets)
    if (target == t.bit) return t.name;
  return "unknown";
}

std::string isa() { return isa_name(isa_target()); }

}  // namespace fdi::kernels
