#include "kernels/openblas.h"

#ifdef FDI_HAVE_OPENBLAS
#include <dlfcn.h>
#include <sys/mman.h>

#include <cstddef>

#include "core/error.h"
#include "core/threads.h"

namespace fdi::kernels {
namespace {

// Room for what the library takes as it starts: itself, and buffers for every processor, 43 and 131 MB as measured with
// 0.3.21; a little more is asked for.
void check_room() {
  const size_t room = (size_t{64} + size_t{144} * static_cast<size_t>(core::hardware_threads())) << 20;
  void* taken = ::mmap(nullptr, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (taken == MAP_FAILED)
    core::fail_as(core::ErrorCode::kSystem,
                  "OpenBLAS needs {} MiB of address space to start, and there is less; lift the limit (ulimit -v), or "
                  "leave it out (--gemm native)",
                  room >> 20);
  ::munmap(taken, room);
}

OpenBlas load() {
  check_room();
  void* library = ::dlopen(FDI_OPENBLAS_FILE, RTLD_NOW | RTLD_LOCAL);
  const auto find = [&](const char* name) {
    void* symbol = library == nullptr ? nullptr : ::dlsym(library, name);
    if (symbol == nullptr)
      core::fail_as(core::ErrorCode::kSystem, "OpenBLAS cannot be loaded: {}; install it (libopenblas-openmp-dev)",
                    ::dlerror());
    return symbol;
  };
  const auto text = [&](const char* name) { return reinterpret_cast<char* (*)()>(find(name))(); };
  return {reinterpret_cast<decltype(OpenBlas::sgemm)>(find("cblas_sgemm")),
          reinterpret_cast<decltype(OpenBlas::set_num_threads)>(find("openblas_set_num_threads")),
          text("openblas_get_config"), text("openblas_get_corename")};
}

}  // namespace

const OpenBlas& openblas() {
  static const OpenBlas library = load();
  return library;
}

}  // namespace fdi::kernels
#endif
