// What the common options do, see options.h.
#include "cli/options.h"

#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "cli/terminal.h"
#include "core/error.h"
#include "core/file.h"
#include "core/threads.h"
#include "kernels/gemm.h"
#include "kernels/isa.h"

namespace fdi::cli {

void add_common(CLI::App& command, CommonOptions& common, std::function<void()> work) {
  const std::string group = "Common options";
  command.add_option("--json", common.json, "Write the machine-readable result to FILE; - is standard output")
      ->type_name("FILE")
      ->group(group);
  CLI::Option* threads =
      command.add_option("--threads", common.threads, "Compute threads; all processors unless given")
          ->type_name("N")
          ->group(group);
  command
      .add_option("--isa", common.isa,
                  "Instruction set of the kernels: avx512, avx2, sse4, ssse3, neon, scalar; the best unless given "
                  "(or FASTDEEPIOT_ISA)")
      ->type_name("NAME")
      ->group(group);
  command.add_option("--gemm", common.gemm, "Matrix products by our own kernels or by OpenBLAS: native, openblas")
      ->type_name("NAME")
      ->capture_default_str()
      ->group(group);
  command.add_option("--seed", common.seed, "Seed of every random draw; the same seed gives the same numbers")
      ->type_name("N")
      ->capture_default_str()
      ->group(group);
  command.callback([&common, threads, work = std::move(work)] {
    if (threads->count() > 0) {
      core::set_threads(common.threads);
      warn_if_too_many(common.threads);
    }
    if (!common.isa.empty()) kernels::set_isa(common.isa);
    kernels::isa();  // an unusable FASTDEEPIOT_ISA is said now
    if (common.gemm != "native" && common.gemm != "openblas")
      core::fail("--gemm {}: wanted native or openblas", common.gemm);
    kernels::set_gemm_provider(common.gemm == "native" ? kernels::GemmProvider::kNative
                                                       : kernels::GemmProvider::kOpenBlas);
    if (!common.json.empty() && common.json != "-") check_writable(common.json);
    work();
  });
}

void write_result(const CommonOptions& common, const nlohmann::json& result) {
  if (common.json.empty()) return;
  const std::string text = result.dump(2) + "\n";
  if (common.json == "-")
    write_output(text);
  else
    core::write_file_atomically(common.json, text);
}

void print(const CommonOptions& common, const std::string& text) {
  if (common.json != "-") write_output(text);
}

void check_on_off(const char* option, const std::string& value) {
  if (value != "on" && value != "off") core::fail("{} {}: wanted on or off", option, value);
}

void warn_if_too_many(int threads) {
  if (threads > core::hardware_threads())
    note("{} threads on {} processors: those that share one wait for each other, and all of them for the last", threads,
         core::hardware_threads());
}

void check_writable(const std::string& path) { core::AtomicFile probe(path); }  // dropped uncommitted: leaves nothing

}  // namespace fdi::cli
