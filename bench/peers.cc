#include "bench/peers.h"

#include <fmt/core.h>
#include <omp.h>
#include <sched.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "core/cpu.h"
#include "core/threads.h"
#include "kernels/isa.h"

#ifdef FDI_HAVE_OPENBLAS
#include <cblas.h>
extern "C" char* openblas_get_corename();
#endif
#ifdef FDI_HAVE_ONEDNN
#include <oneapi/dnnl/dnnl.h>
#endif

namespace fdi::bench {
namespace {

#ifdef FDI_HAVE_OPENBLAS
void openblas_multiply(int64_t m, int64_t n, int64_t k, const float* a, const float* b, float* c) {
  const auto im = static_cast<blasint>(m), in = static_cast<blasint>(n), ik = static_cast<blasint>(k);
  cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, im, in, ik, 1.0F, a, ik, b, in, 0.0F, c, in);
}
#endif
#ifdef FDI_HAVE_ONEDNN
void onednn_multiply(int64_t m, int64_t n, int64_t k, const float* a, const float* b, float* c) {
  dnnl_sgemm('N', 'N', m, n, k, 1.0F, a, k, b, n, 0.0F, c, n);
}
#endif

// The words of this process's command line, for execv. (A file of /proc has no size: read to its end.)
std::vector<std::string> command_line() {
  std::vector<std::string> words;
  std::ifstream in("/proc/self/cmdline");
  for (std::string word; std::getline(in, word, '\0');) words.push_back(word);
  return words;
}

}  // namespace

const std::vector<GemmPeer>& gemm_peers() {
  static const std::vector<GemmPeer> peers = {
#ifdef FDI_HAVE_OPENBLAS
      {"openblas", openblas_multiply},
#endif
#ifdef FDI_HAVE_ONEDNN
      {"onednn", onednn_multiply},
#endif
  };
#ifdef FDI_HAVE_OPENBLAS
  openblas_set_num_threads(core::threads());
#endif
  return peers;
}

bool have_onednn() {
#ifdef FDI_HAVE_ONEDNN
  return true;
#else
  return false;
#endif
}

std::string openblas_version() {
#ifdef FDI_HAVE_OPENBLAS
  const std::string config = openblas_get_config();  // "OpenBLAS 0.3.21 NO_LAPACKE DYNAMIC_ARCH ..."
  const size_t end = config.find(' ', config.find(' ') + 1);
  return fmt::format("{} ({} kernels)", config.substr(0, end), openblas_get_corename());
#else
  return "no OpenBLAS";
#endif
}

std::string onednn_version() {
#ifdef FDI_HAVE_ONEDNN
  const dnnl_version_t* v = dnnl_version();
  return fmt::format("oneDNN {}.{}.{}", v->major, v->minor, v->patch);
#else
  return "no oneDNN";
#endif
}

namespace {

// Where OMP_PROC_BIND is set already, OpenMP has bound this thread to one processor; a program started now would
// inherit that and crowd all its threads there. The places still name all processors that the process was given.
void unbind() {
  cpu_set_t all;
  CPU_ZERO(&all);
  for (int place = 0; place < omp_get_num_places(); ++place) {
    std::vector<int> ids(static_cast<size_t>(omp_get_place_num_procs(place)));
    omp_get_place_proc_ids(place, ids.data());
    for (const int id : ids) CPU_SET(id, &all);
  }
  if (CPU_COUNT(&all) > 0) ::sched_setaffinity(0, sizeof(all), &all);
}

}  // namespace

void restart_with_best_environment(int threads) {
  std::error_code ignored;
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe", ignored);
  if (self.filename() != "fastdeepiot" || std::getenv("FASTDEEPIOT_BENCH_RESTARTED") != nullptr) return;
  bool changed = false;
  const auto set_where_missing = [&](const char* name, const char* value) {
    if (std::getenv(name) != nullptr) return;
    ::setenv(name, value, 1);
    changed = true;
  };
  const bool amd_avx512 =
      core::cpu_info().model.find("AMD") != std::string::npos && kernels::available_isas().front() == "avx512";
  if (amd_avx512) set_where_missing("OPENBLAS_CORETYPE", "Haswell");
  if (threads > 1) set_where_missing("OMP_PROC_BIND", "true");
  std::vector<std::string> words = command_line();
  if (!changed || words.empty()) return;
  ::setenv("FASTDEEPIOT_BENCH_RESTARTED", "1", 1);
  unbind();
  std::vector<char*> argv;
  argv.reserve(words.size() + 1);
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  ::execv("/proc/self/exe", argv.data());  // returns only where it failed: then the numbers are those of the defaults
}

}  // namespace fdi::bench
