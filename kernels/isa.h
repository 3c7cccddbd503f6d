// Which instruction set the kernels run on. Every kernel is compiled for all targets of the architecture and picks one
// at run time; forcing one makes a single machine behave as several devices with different landscapes.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace fdi::kernels {

// Names of the targets that this machine can run, best first: avx512, avx2, sse4, ssse3, scalar (x86); neon, scalar
// (ARM).
std::vector<std::string> available_isas();
// Forces a target for every later kernel call; "" or "auto" takes the best one. Throws Error for a name that is unknown
// or that this machine cannot run. Call it before a Network is built: packed weights depend on the target's tile.
void set_isa(std::string_view name);
// The target in force. First use reads FASTDEEPIOT_ISA (an unusable name there is an Error too).
std::string isa();
// The same as Highway's bit of the target, for comparisons without a string; and the name of one.
int64_t isa_target();
std::string isa_name(int64_t target);

}  // namespace fdi::kernels
