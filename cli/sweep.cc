// `fastdeepiot sweep`: times one layer while some of its sizes vary (the paper's figure 1), or Table 1's four layers.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <numeric>
#include <tuple>

#include "cli/commands.h"
#include "cli/measuring_lock.h"
#include "cli/profiling.h"
#include "cli/sweep_sizes.h"
#include "cli/terminal.h"
#include "core/check.h"
#include "core/error.h"
#include "core/file.h"
#include "core/progress.h"
#include "core/rng.h"
#include "nn/layer.h"
#include "profile/campaign.h"
#include "profile/plot.h"
#include "profile/sampler.h"
#include "profile/sampling_scope.h"

namespace fdi::cli {
namespace {

struct SweepFlags {
  ProfilingOptions profiling;
  std::string op = "conv2d", padding = "same", cache = "network", in = "24x24", kernel = "3x3", svg, csv;
  std::vector<std::string> vary;
  SweptLayer layer;
  int passes = 15;
  bool table1 = false;
};

void sweep(SweepFlags& flags) {
  const nn::Op op = flags.table1 ? nn::Op::kConv2d : profile::op_from_name(flags.op);
  if (flags.padding != "same" && flags.padding != "valid")
    core::fail("--padding {}: wanted same or valid", flags.padding);
  if (flags.passes < 1 || flags.passes > 1000) core::fail("--passes {}: wanted 1 to 1000", flags.passes);
  const nn::Padding padding = flags.padding == "same" ? nn::Padding::kSame : nn::Padding::kValid;
  std::tie(flags.layer.in_height, flags.layer.in_width) = read_extent(flags.in, "--in");
  std::tie(flags.layer.kernel_height, flags.layer.kernel_width) = read_extent(flags.kernel, "--kernel");
  std::vector<Vary> varies;
  std::vector<SweptLayer> layers;
  if (flags.table1) {
    for (const auto& [in, out] : {std::pair(8, 32), {32, 8}, {66, 32}, {43, 64}})
      layers.push_back({.in_height = 224, .in_width = 224, .in_channel = in, .out_channel = out});
  } else {
    if (flags.vary.empty()) core::fail("sweep: give --vary FIELD[,FIELD]=A..B[:STEP] or --table1");
    for (const std::string& text : flags.vary) varies.push_back(read_vary(text));
    const nlohmann::json fields = sizes_json(op, flags.layer);
    for (const Vary& vary : varies)
      for (const std::string& field : vary.fields)
        if (!fields.contains(field)) core::fail("--vary {}: {} has no such size", field, nn::op_name(op));
    layers = combine_sizes(varies, flags.layer);
  }
  if (!flags.csv.empty()) check_writable(flags.csv);
  std::string prefix = flags.svg;  // of the figure's files
  if (prefix.ends_with(".svg")) prefix.resize(prefix.size() - 4);
  if (!prefix.empty()) check_writable(prefix + ".svg");

  std::vector<device::Component> components;
  components.reserve(layers.size());
  for (const SweptLayer& layer : layers) components.push_back(swept_component(op, layer, padding));
  const std::unique_ptr<profile::Runner> runner = make_runner(flags.profiling);
  if (!runner->supports(op)) core::fail("--op {}: the engine {} has none of its own", flags.op, flags.profiling.engine);
  core::Progress progress;
  profile::CampaignOptions options;
  options.passes = flags.passes;
  options.seed = flags.profiling.common.seed;
  options.progress = [&](const profile::CampaignProgress& p) {
    progress.update(fmt::format("{}/{} readings, {} left", p.done, p.total, core::format_duration(p.seconds_left)));
  };
  // Neighbours in the sweep are no neighbours in time.
  std::vector<size_t> order(components.size());
  std::iota(order.begin(), order.end(), size_t{0});
  core::Rng(options.seed, core::Stream::kSampler).shuffle(order.begin(), order.end());
  std::vector<device::Component> shuffled;
  shuffled.reserve(order.size());
  for (const size_t i : order) shuffled.push_back(components[i]);
  const std::vector<device::Job> jobs = with_caches(profile::groups(shuffled), flags.cache);
  // Stored like a profile's readings, so that a stopped sweep goes on; a finished one is made anew.
  const device::Identity identity = runner->identity();
  profile::Store store(store_path(flags.profiling.database));
  const MeasuringLock of_device(store_path(flags.profiling.database), flags.profiling.device);
  nlohmann::json asked = flags.vary;
  if (flags.table1) asked = "table1";
  const nlohmann::json request = {
      {"sweep", {{"vary", asked}, {"layer", sizes_json(op, flags.layer)}, {"padding", flags.padding}}},
      {"seed", options.seed},
      {"cache", flags.cache},
      {"stopwatch", device::kStopwatch}};
  profile::Store::Run run = store.open_run(identity, request);
  if (!run.finished.empty()) {
    store.remove(profile::Store::Kind::kRun, run.id);
    run = store.open_run(identity, request);
  }
  if (run.jobs == 0) store.add_jobs(run.id, jobs);
  const std::vector<profile::PassReading> there = store.readings(run.id);
  if (!there.empty()) note("going on with {} readings that are there", there.size());
  options.keep = [&](const profile::PassReading& reading) { store.keep(run.id, reading); };
  const profile::CampaignResult result = profile::run_campaign(*runner, jobs, there, options);
  store.finish_run(run.id);
  const std::vector<profile::Sample> measured = profile::combine(jobs, result.readings);
  CHECK(measured.size() == layers.size());
  std::vector<profile::Sample> samples(measured.size());
  for (size_t i = 0; i < order.size(); ++i) samples[order[i]] = measured[i];

  const CommonOptions& common = flags.profiling.common;
  std::string text = device::key(identity) + "\n" + (identity.emulated ? "EMULATED: these times mean nothing\n" : "");
  nlohmann::json rows = nlohmann::json::array();
  profile::Figure figure{.title = fmt::format("{}, {}", nn::op_name(op), device::key(identity)),
                         .x = varies.empty() ? "layer" : fmt::format("{}", fmt::join(varies.back().fields, " = ")),
                         .y = "time (us)",
                         .curves = {}};
  for (size_t i = 0; i < samples.size(); ++i) {
    const device::Timing& time = samples[i].time;
    nlohmann::json config = sizes_json(op, layers[i]);
    config["padding"] = flags.padding;
    const auto flop = static_cast<double>(nn::op_info(op).flops(components[i].layer, components[i].in));
    text += fmt::format("in {:>4} out {:>4}  {:>9.3f} MFLOP  {:>11.2f} us  spread {:.1f}%\n", layers[i].in_channel,
                        layers[i].out_channel, flop / 1e6, time.median_us, 100 * time.rel_mad);
    rows.push_back({{"config", std::move(config)}, {"median_us", time.median_us}, {"rel_mad", time.rel_mad}});
    // The last --vary runs along x; those before it make a curve of each combination.
    const auto per_curve = varies.empty()
                               ? samples.size()
                               : static_cast<size_t>((varies.back().high - varies.back().low) / varies.back().step + 1);
    if (i % per_curve == 0) {
      std::string name;
      for (size_t k = 0; k + 1 < varies.size(); ++k)
        name += fmt::format("{}{} {}", name.empty() ? "" : ", ", varies[k].fields[0],
                            rows.back()["config"][varies[k].fields[0]].dump());
      figure.curves.push_back({name, {}});
    }
    const double x = varies.empty() ? static_cast<double>(i + 1)
                                    : varies.back().low + static_cast<double>(i % per_curve) * varies.back().step;
    figure.curves.back().points.emplace_back(x, time.median_us);
  }
  print(common, text);
  if (!flags.csv.empty()) profile::write_samples_csv(flags.csv, {identity, samples});
  if (!prefix.empty())
    if (const profile::Plotted plotted = profile::plot(prefix, {figure}); !plotted.missing.empty())
      note("{}; {} has the data", plotted.missing, plotted.files[0]);
  write_result(common, rows);
}

}  // namespace

void add_sweep(CLI::App& app) {
  CLI::App* command = app.add_subcommand("sweep", "Time a layer while its sizes vary: see where it is fast");
  const auto flags = std::make_shared<SweepFlags>();
  command->add_option("--op", flags->op, "conv2d, fc, gru, lstm, max_pool, avg_pool")->capture_default_str();
  command
      ->add_option("--vary", flags->vary,
                   "FIELD[,FIELD]=A..B[:STEP]: these sizes take each of these values; given again: every combination")
      ->type_name("WHAT")
      ->delimiter('\0')
      ->take_all();
  command->add_option("--in", flags->in, "Height and width of the image")->type_name("HxW")->capture_default_str();
  command->add_option("--in-channel", flags->layer.in_channel, "Input channels or features")->capture_default_str();
  command->add_option("--out-channel", flags->layer.out_channel, "Output channels or units")->capture_default_str();
  command->add_option("--kernel", flags->kernel, "Window of a convolution or pool")
      ->type_name("HxW")
      ->capture_default_str();
  command->add_option("--stride", flags->layer.stride, "Stride")->capture_default_str();
  command->add_option("--padding", flags->padding, "same or valid")->capture_default_str();
  command->add_option("--step", flags->layer.step, "Steps of a sequence")->capture_default_str();
  command->add_flag("--table1", flags->table1, "The four convolutions of the paper's Table 1 (224x224, 3x3)");
  command->add_option("--passes", flags->passes, "Times that each is measured, in shuffled order")
      ->capture_default_str();
  command
      ->add_option("--cache", flags->cache,
                   "What the layer finds: network (other layers ran before it), warm (only itself) or cold caches")
      ->capture_default_str();
  command->add_option("--svg", flags->svg, "Draw it (gnuplot); the data and the script stay beside it")
      ->type_name("FILE");
  command->add_option("--csv", flags->csv, "Also write the samples as a table")->type_name("FILE");
  command->footer(
      "Example:\n  fastdeepiot sweep --op conv2d --vary in_channel,out_channel=1..128 --svg figure1.svg\n"
      "  fastdeepiot sweep --table1 --json table1.json");
  add_profiling(*command, flags->profiling, [flags] { sweep(*flags); });
}

}  // namespace fdi::cli
