// Which build this is, and which kernels are in it. Called by the agent and by who talks to it, by the native engine,
// and before anything is timed.
//
// Times belong to the kernels, the compiler and its flags; the native engine's version (device/identity.h) names these
// three. The kernels are named by a revision that a person raises, not by a hash of the sources: a new name, a moved
// file or a rewritten comment changes no time, and would make every stored reading and model one of another device. So
// that nobody forgets to raise it, tests/layering/kernels_revision_test.cc compares the sources with the ones that the
// revision was confirmed for. Readings and models of versions written otherwise stay readable: the version is a text
// that is only compared.
#pragma once
#include <string>
#include <string_view>

namespace fdi::device {

// Of what decides how long inference takes: core/'s threads and memory, kernels/, the layers of nn/. Add 1 with a
// change that may make a network faster or slower.
constexpr int kKernelsRevision = 1;

// "r1 gcc 12.2.0 -O3": the kernels' revision, the compiler, and its flags without warnings and debug information.
std::string kernels_version();

// "0.1.0+8c1f0e4d2b": the program's version and a hash of the sources of core/, kernels/, nn/ and device/. Equal for
// all processors that one source was built for: program and agent speak the same protocol.
std::string_view build_version();

// Whether the compiler optimised and no sanitizer is built in.
bool optimized_build();
// Whether the environment says FASTDEEPIOT_TEST_TIMES=1, as that of the tests does: times decide nothing. Every build
// may be timed, and networks are timed in the fewest passes.
bool test_times();
// Throws Error with how to build where the build is not optimised and times count.
void require_optimized(bool optimized = optimized_build());

}  // namespace fdi::device
