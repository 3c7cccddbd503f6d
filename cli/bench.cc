// `fastdeepiot bench gemm|conv|model|rnn|train|loader|predict`: what our kernels and networks take, beside the peers.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <memory>

#include "bench/conv.h"
#include "bench/gemm.h"
#include "bench/loader.h"
#include "bench/model.h"
#include "bench/peers.h"
#include "bench/train.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "cli/time_model_choice.h"
#include "core/check.h"
#include "core/error.h"
#include "core/threads.h"
#include "nn/zoo.h"

namespace fdi::cli {
namespace {

struct Options {
  CommonOptions common;
  device::MeasureOptions timing{.min_runs = 11, .max_seconds = 1.5};
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

void add_conv(CLI::App& bench) {
  struct ConvOptions : Options {
    bench::ConvShape shape;
    int batch = 1;
  };
  auto options = std::make_shared<ConvOptions>();
  CLI::App& command = add(bench, options, "conv", "Convolutions of VGG-16, or one of your own", [options] {
    const bench::ConvShape& s = options->shape;
    if (options->batch < 1) core::fail("bench conv: got --batch {}; give at least 1", options->batch);
    const bool custom = s.size != 0 || s.in_channel != 0 || s.out_channel != 0;
    if (custom && (s.size < 1 || s.in_channel < 1 || s.out_channel < 1 || s.kernel < 1 || s.stride < 1))
      core::fail(
          "bench conv: got --size {} --in {} --out {} --kernel {} --stride {}; give size, in and out, all at least 1",
          s.size, s.in_channel, s.out_channel, s.kernel, s.stride);
    return bench::conv(custom ? std::vector<bench::ConvShape>{s} : bench::vgg_conv_shapes(), options->batch,
                       options->timing);
  });
  command.add_option("--batch", options->batch, "Images at once")->capture_default_str();
  command.add_option("--size", options->shape.size, "Height and width of the image");
  command.add_option("--in", options->shape.in_channel, "Input channels");
  command.add_option("--out", options->shape.out_channel, "Output channels");
  command.add_option("--kernel", options->shape.kernel, "Height and width of the kernel")->capture_default_str();
  command.add_option("--stride", options->shape.stride, "Stride")->capture_default_str();
  command.footer("Example: fastdeepiot bench conv --size 32 --in 64 --out 63 --threads 1");
}

void add_model(CLI::App& bench) {
  struct ModelOptions : Options {
    std::string zoo = "vgg16";
    double width = 1;
    int batch = 1;
    bool no_peers = false;
  };
  auto options = std::make_shared<ModelOptions>();
  CLI::App& command = add(bench, options, "model", "A network of the zoo: time and memory of inference", [options] {
    if (options->batch < 1) core::fail("bench model: got --batch {}; give at least 1", options->batch);
    return bench::model(nn::make_zoo(options->zoo, {.width = options->width, .classes = 0, .input = {}}),
                        options->batch, !options->no_peers, options->timing);
  });
  command.add_option("--zoo", options->zoo, "Name of the network")->capture_default_str();
  command.add_option("--width", options->width, "Factor on every hidden width")->capture_default_str();
  command.add_option("--batch", options->batch, "Images at once")->capture_default_str();
  command.add_flag("--no-peers", options->no_peers, "Measure ours alone");
  command.footer("Example: fastdeepiot bench model --zoo vgg16 --batch 1 --threads 1 --json model.json");
}

void add_rnn(CLI::App& bench) {
  struct RnnOptions : Options {
    bench::RnnShape shape;
    std::string type = "gru";
    int batch = 1;
    bool no_peers = false;
  };
  auto options = std::make_shared<RnnOptions>();
  CLI::App& command = add(bench, options, "rnn", "Recurrent layers over a sequence", [options] {
    bench::RnnShape& s = options->shape;
    if (options->type != "gru" && options->type != "lstm")
      core::fail("bench rnn: got --type {}; wanted gru or lstm", options->type);
    s.op = options->type == "gru" ? nn::Op::kGru : nn::Op::kLstm;
    if (options->batch < 1 || s.in < 1 || s.steps < 1 || *std::ranges::min_element(s.units) < 1)
      core::fail("bench rnn: --batch, --in, --steps and every one of --units must be at least 1");
    return bench::model(bench::rnn_spec(s), options->batch, !options->no_peers, options->timing);
  });
  command.add_option("--type", options->type, "gru (reset after) or lstm")->capture_default_str();
  command.add_option("--in", options->shape.in, "Input features")->capture_default_str();
  command.add_option("--units", options->shape.units, "Hidden units of each layer")
      ->delimiter(',')
      ->capture_default_str();
  command.add_option("--steps", options->shape.steps, "Length of the sequence")->capture_default_str();
  command.add_option("--batch", options->batch, "Sequences at once")->capture_default_str();
  command.add_flag("--no-peers", options->no_peers, "Measure ours alone");
  command.footer("Example: fastdeepiot bench rnn --type gru --in 1000 --units 120,120 --steps 20 --threads 1");
}

void add_training(CLI::App& bench) {
  struct TrainOptions : Options {
    std::string zoo = "vgg16";
    double width = 1;
    int batch = 128;
  };
  auto options = std::make_shared<TrainOptions>();
  options->timing = {.min_runs = 5, .max_runs = 50, .max_seconds = 20};
  CLI::App& command = add(bench, options, "train", "Whole training steps on random images", [options] {
    if (options->batch < 1) core::fail("bench train: got --batch {}; give at least 1", options->batch);
    return bench::train(nn::make_zoo(options->zoo, {.width = options->width, .classes = 0, .input = {}}),
                        options->batch, options->timing);
  });
  command.add_option("--zoo", options->zoo, "Name of the network")->capture_default_str();
  command.add_option("--width", options->width, "Factor on every hidden width")->capture_default_str();
  command.add_option("--batch", options->batch, "Images at once")->capture_default_str();
  command.footer("Example: fastdeepiot bench train --zoo vgg16 --batch 128 --threads 2 --json train.json");
}

void add_loader(CLI::App& bench) {
  struct LoaderBench : Options {
    std::string data = "cifar10";
    int batch = 128, workers = 1;
  };
  auto options = std::make_shared<LoaderBench>();
  options->timing = {.min_runs = 3, .max_runs = 20, .max_seconds = 10};
  CLI::App& command = add(bench, options, "loader", "Augmented batches from a data set, without a network", [options] {
    if (options->batch < 1 || options->workers < 1)
      core::fail("bench loader: got --batch {} --workers {}; give at least 1", options->batch, options->workers);
    return bench::loader(options->data, options->batch, options->workers, options->timing);
  });
  command.add_option("--data", options->data, "Data set: a name or a place, see `fastdeepiot data --help`")
      ->capture_default_str();
  command.add_option("--batch", options->batch, "Images at once")->capture_default_str();
  command.add_option("--workers", options->workers, "Background threads")->capture_default_str();
  command.footer("Example: fastdeepiot bench loader --data cifar10 --json loader.json");
}

// Of the layers of one network, microseconds a layer: with its interval and rule, and the time alone, as a search asks.
bench::Report time_predictions(const profile::TimeModel& model, const nn::NetworkSpec& spec,
                               const device::MeasureOptions& timing) {
  const std::vector<device::Component> layers = device::components(spec);
  double sum = 0;  // that nothing is optimised away
  const auto per_layer = [&](auto predict) {
    const device::Timing time = device::measure(
        [&] {
          for (const device::Component& layer : layers) sum += predict(layer);
        },
        timing);
    return time.median_us / static_cast<double>(layers.size());
  };
  const double whole = per_layer([&](const device::Component& c) { return model.predict(c).us; });
  const double alone = per_layer([&](const device::Component& c) { return model.predict_us(c); });
  CHECK(std::isfinite(sum));
  return {{{"layers", layers.size()}, {"prediction_us", whole}, {"time_alone_us", alone}},
          fmt::format("{} layers of {}: a prediction takes {:.2f} us, {:.2f} us without interval and rule\n",
                      layers.size(), spec.name, whole, alone)};
}

void add_predict_bench(CLI::App& bench) {
  struct PredictBench : Options {
    std::string time_model, zoo = "vgg16";
  };
  auto options = std::make_shared<PredictBench>();
  CLI::App& command = add(bench, options, "predict", "Predictions of a time model", [options] {
    return time_predictions(read_time_model(options->time_model), nn::make_zoo(options->zoo), options->timing);
  });
  command.add_option("--time-model", options->time_model, "A time model's file (fit --out)")
      ->type_name("FILE")
      ->required();
  command.add_option("--zoo", options->zoo, "Name of the network")->capture_default_str();
  command.footer("Example: fastdeepiot bench predict --time-model model.json");
}

}  // namespace

void add_bench(CLI::App& app) {
  CLI::App& bench = *app.add_subcommand("bench", "Measure kernels and networks beside OpenBLAS and oneDNN");
  bench.require_subcommand(1);
  bench.footer("Example: fastdeepiot bench gemm --m 64 --n 1024 --k 576\nHow the figures are made: bench/RESULTS.md");
  add_gemm(bench);
  add_conv(bench);
  add_model(bench);
  add_rnn(bench);
  add_training(bench);
  add_loader(bench);
  add_predict_bench(bench);
}

}  // namespace fdi::cli
