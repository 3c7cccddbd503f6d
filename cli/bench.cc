// `fastdeepiot bench gemm|conv|model|rnn|train|loader`: what our kernels and networks take, beside the peers.
#include <CLI/CLI.hpp>
#include <memory>

#include "bench/gemm.h"
#include "bench/peers.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "core/error.h"
#include "core/threads.h"

namespace fdi::cli {
namespace {

struct Options {
  CommonOptions common;
  profile::MeasureOptions timing{.min_runs = 11, .max_seconds = 1.5};
  int64_t m = 0, n = 0, k = 0;
};

// Adds `bench NAME`: the common options, the caps of the stopwatch, and the report's way out. `run` makes the report.
CLI::App& add(CLI::App& bench, const std::shared_ptr<Options>& options, const char* name, const char* description,
              std::function<bench::Report()> run) {
  CLI::App& command = *bench.add_subcommand(name, description);
  command.add_option("--seconds", options->timing.max_seconds, "Longest time per measurement once --runs are taken")
      ->capture_default_str();
  command.add_option("--runs", options->timing.min_runs, "Fewest runs per measurement")
      ->check(CLI::Range(1, 1'000'000))
      ->capture_default_str();
  add_common(command, options->common, [options, run = std::move(run)] {
    bench::restart_with_best_environment(core::threads());
    const bench::Report report = run();
    print(options->common, report.text);
    write_result(options->common, report.json);
  });
  return command;
}

void add_gemm(CLI::App& bench) {
  auto options = std::make_shared<Options>();
  CLI::App& command = add(bench, options, "gemm", "Matrix products of VGG-16's layers, or one of your own", [options] {
    const bool custom = options->m != 0 || options->n != 0 || options->k != 0;
    if (custom && (options->m < 1 || options->n < 1 || options->k < 1))
      core::fail("bench gemm: got --m {} --n {} --k {}; give all three, each at least 1", options->m, options->n,
                 options->k);
    return bench::gemm(
        custom ? std::vector<bench::GemmShape>{{options->m, options->n, options->k}} : bench::vgg_gemm_shapes(),
        options->timing);
  });
  command.add_option("--m", options->m, "Output channels");
  command.add_option("--n", options->n, "Pixels");
  command.add_option("--k", options->k, "Values of a patch");
  command.footer("Example: fastdeepiot bench gemm --threads 1 --json gemm.json");
}

}  // namespace

void add_bench(CLI::App& app) {
  CLI::App& bench = *app.add_subcommand("bench", "Measure kernels and networks beside OpenBLAS and oneDNN");
  bench.require_subcommand(1);
  bench.footer("Example: fastdeepiot bench gemm --m 64 --n 1024 --k 576\nHow the figures are made: bench/RESULTS.md");
  add_gemm(bench);
}

}  // namespace fdi::cli
