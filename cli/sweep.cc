// `fastdeepiot sweep`: times one layer while some of its sizes vary (the paper's figure 1), or Table 1's four layers.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <exception>
#include <memory>
#include <nlohmann/json.hpp>
#include <numeric>
#include <tuple>

#include "cli/commands.h"
#include "cli/measuring_lock.h"
#include "cli/profiling.h"
#include "cli/sweep_picture.h"
#include "cli/terminal.h"
#include "core/check.h"
#include "core/error.h"
#include "core/file.h"
#include "core/progress.h"
#include "core/rng.h"
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

// Which layers the flags ask for; not timed yet.
Swept read_layers(SweepFlags& flags) {
  Swept swept;
  swept.op = flags.table1 ? nn::Op::kConv2d : profile::op_from_name(flags.op);
  if (flags.padding != "same" && flags.padding != "valid")
    core::fail("--padding {}: wanted same or valid", flags.padding);
  swept.padding = flags.padding == "same" ? nn::Padding::kSame : nn::Padding::kValid;
  std::tie(flags.layer.in_height, flags.layer.in_width) = read_extent(flags.in, "--in");
  std::tie(flags.layer.kernel_height, flags.layer.kernel_width) = read_extent(flags.kernel, "--kernel");
  if (flags.table1) {
    for (const auto& [in, out] : {std::pair(8, 32), {32, 8}, {66, 32}, {43, 64}})
      swept.layers.push_back({.in_height = 224, .in_width = 224, .in_channel = in, .out_channel = out});
    return swept;
  }
  if (flags.vary.empty()) core::fail("sweep: give --vary FIELD[,FIELD]=A..B[:STEP] or --table1");
  for (const std::string& text : flags.vary) swept.varies.push_back(read_vary(text, swept.op));
  swept.layers = combine_sizes(swept.varies, flags.layer);
  return swept;
}

// Times the layers in shuffled order. Stored like a profile's readings, so that a stopped sweep goes on; a finished one
// is made anew. Samples in the order of the layers.
std::vector<profile::Sample> time_layers(const SweepFlags& flags, const Swept& swept, profile::Runner& runner) {
  std::vector<device::Component> components;
  components.reserve(swept.layers.size());
  for (const SweptLayer& layer : swept.layers) components.push_back(swept_component(swept.op, layer, swept.padding));
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
  profile::Store store(store_path(flags.profiling.database));
  const MeasuringLock of_device(store_path(flags.profiling.database), flags.profiling.device);
  nlohmann::json asked = flags.vary;
  if (flags.table1) asked = "table1";
  const nlohmann::json request = {
      {"sweep", {{"vary", asked}, {"layer", sizes_json(swept.op, flags.layer)}, {"padding", flags.padding}}},
      {"seed", options.seed},
      {"cache", flags.cache},
      {"stopwatch", device::kStopwatch}};
  profile::Store::Run run = store.open_run(swept.device, request);
  if (!run.finished.empty()) {
    store.remove(profile::Store::Kind::kRun, run.id);
    run = store.open_run(swept.device, request);
  }
  if (run.jobs == 0) store.add_jobs(run.id, jobs);
  const std::vector<profile::PassReading> there = store.readings(run.id);
  if (!there.empty()) note("going on with {} readings that are there", there.size());
  options.keep = [&](const profile::PassReading& reading) { store.keep(run.id, reading); };
  const profile::CampaignResult result = profile::run_campaign(runner, jobs, there, options);
  store.finish_run(run.id);
  std::vector<profile::Sample> measured = profile::combine(jobs, result.readings);
  CHECK(measured.size() == components.size());
  std::vector<profile::Sample> samples(measured.size());
  for (size_t i = 0; i < order.size(); ++i) samples[order[i]] = std::move(measured[i]);
  return samples;
}

void draw(const std::string& prefix, const Swept& swept) {
  const std::vector<profile::Figure> figures = sweep_figures(swept);
  const profile::Plotted plotted = profile::plot(prefix, figures, {.height = figures.size() > 1 ? 700 : 500});
  if (!plotted.missing.empty()) note("{}; {} has the data", plotted.missing, plotted.files[0]);
  if (const size_t curves = curves_of(swept); curves > kMostInKey)
    note("{} curves: the picture's key names one in {}; {} names all", curves, (curves + kMostInKey - 1) / kMostInKey,
         plotted.files[0]);
}

void sweep(SweepFlags& flags) {
  if (flags.passes < 1 || flags.passes > 1000) core::fail("--passes {}: wanted 1 to 1000", flags.passes);
  Swept swept = read_layers(flags);
  if (!flags.csv.empty()) check_writable(flags.csv);
  std::string prefix = flags.svg;  // of the figure's files
  if (prefix.ends_with(".svg")) prefix.resize(prefix.size() - 4);
  if (!prefix.empty()) check_writable(prefix + ".svg");
  const std::unique_ptr<profile::Runner> runner = make_runner(flags.profiling);
  if (!runner->supports(swept.op))
    core::fail("--op {}: the engine {} has none of its own", flags.op, flags.profiling.engine);
  swept.device = runner->identity();
  const std::vector<profile::Sample> samples = time_layers(flags, swept, *runner);
  for (const profile::Sample& sample : samples) swept.times.push_back(sample.time);

  const CommonOptions& common = flags.profiling.common;
  std::exception_ptr unwritten;  // `sweep | head` still gets its files
  try {
    print(common, device::key(swept.device) + "\n" +
                      (swept.device.emulated ? "EMULATED: these times mean nothing\n" : "") + sweep_rows(swept));
  } catch (const core::Error&) {
    unwritten = std::current_exception();
  }
  if (!flags.csv.empty()) profile::write_samples_csv(flags.csv, {swept.device, samples});
  if (!prefix.empty()) draw(prefix, swept);
  write_result(common, sweep_json(swept));
  if (unwritten) std::rethrow_exception(unwritten);
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
      "  fastdeepiot sweep --table1 --svg table1.svg\n"
      "  fastdeepiot sweep --vary kernel_height,kernel_width=1..7 --vary out_channel=8..64:8 --svg kernels.svg\n\n"
      "Fields of --vary: in_height, in_width, in_channel, out_channel, kernel_height, kernel_width, stride of images;\n"
      "in_dim, out_dim of fc, gru and lstm; step of gru and lstm. The last --vary runs along the picture's axis.\n"
      "Each line tells the median time of the passes, the time per thousand operations, and the spread: how far half "
      "of\n"
      "the passes are off the median at most (median absolute deviation), in percent of it.");
  add_profiling(*command, flags->profiling, [flags] { sweep(*flags); });
}

}  // namespace fdi::cli
