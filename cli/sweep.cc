// `fastdeepiot sweep`: times one layer while some of its sizes vary (the paper's figure 1), or Table 1's four layers.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <numeric>
#include <tuple>

#include "cli/commands.h"
#include "cli/profiling.h"
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

// What a layer is made of: each name is a flag, and may be varied.
struct Layer {
  int in_height = 24, in_width = 24, in_channel = 64, out_channel = 64, kernel_height = 3, kernel_width = 3, stride = 1,
      step = 20;
};
constexpr struct {
  const char* name;
  int Layer::*value;
} kFields[] = {{"in_height", &Layer::in_height},
               {"in_width", &Layer::in_width},
               {"in_channel", &Layer::in_channel},
               {"out_channel", &Layer::out_channel},
               {"in_dim", &Layer::in_channel},
               {"out_dim", &Layer::out_channel},
               {"kernel_height", &Layer::kernel_height},
               {"kernel_width", &Layer::kernel_width},
               {"stride", &Layer::stride},
               {"step", &Layer::step}};

// "in_channel,out_channel=1..128:2": these fields together take each of these values.
struct Vary {
  std::vector<std::string> fields;
  int low = 0, high = 0, step = 1;
};

struct SweepFlags {
  ProfilingOptions profiling;
  std::string op = "conv2d", padding = "same", cache = "network", in = "24x24", kernel = "3x3", svg, csv;
  std::vector<std::string> vary;
  Layer layer;
  int passes = 15;
  bool table1 = false;
};

int number(const std::string& text, const std::string& flag) {
  size_t used = 0;
  int value = 0;
  try {
    value = std::stoi(text, &used);
  } catch (const std::exception&) {
    used = std::string::npos;
  }
  if (used != text.size() || value < 1 || value > nn::kMaxDimension)
    core::fail("{}: '{}' is no number from 1 to {}", flag, text, nn::kMaxDimension);
  return value;
}

// "24x32"; "24" is both.
std::pair<int, int> two(const std::string& text, const std::string& flag) {
  const size_t x = text.find('x');
  const int first = number(text.substr(0, x), flag);
  return {first, x == std::string::npos ? first : number(text.substr(x + 1), flag)};
}

Vary read_vary(const std::string& text) {
  const std::string flag = "--vary " + text;
  const size_t equals = text.find('='), dots = text.find("..");
  if (equals == std::string::npos || dots == std::string::npos || dots < equals)
    core::fail("{}: wanted FIELD[,FIELD]=A..B[:STEP]", flag);
  Vary vary;
  for (size_t at = 0; at < equals;) {
    const size_t end = std::min(text.find(',', at), equals);
    vary.fields.push_back(text.substr(at, end - at));
    at = end + 1;
    std::string known;
    for (const auto& f : kFields) known += (known.empty() ? "" : ", ") + std::string(f.name);
    if (std::ranges::none_of(kFields, [&](const auto& f) { return vary.fields.back() == f.name; }))
      core::fail("{}: '{}' is no field; known are {}", flag, vary.fields.back(), known);
  }
  const size_t colon = text.find(':', dots);
  vary.low = number(text.substr(equals + 1, dots - equals - 1), flag);
  vary.high = number(text.substr(dots + 2, colon == std::string::npos ? colon : colon - dots - 2), flag);
  if (colon != std::string::npos) vary.step = number(text.substr(colon + 1), flag);
  if (vary.fields.empty() || vary.low > vary.high) core::fail("{}: wanted FIELD[,FIELD]=A..B[:STEP], A <= B", flag);
  return vary;
}

// Every combination of the values of all `varies` from `k` on.
void expand(const std::vector<Vary>& varies, size_t k, Layer layer, std::vector<Layer>& out) {
  constexpr size_t kMost = 100'000;
  if (k == varies.size()) {
    if (out.size() == kMost) core::fail("--vary: more than {} combinations; give a larger STEP", kMost);
    out.push_back(layer);
    return;
  }
  for (int value = varies[k].low; value <= varies[k].high; value += varies[k].step) {
    for (const auto& f : kFields)
      if (std::ranges::find(varies[k].fields, f.name) != varies[k].fields.end()) layer.*f.value = value;
    expand(varies, k + 1, layer, out);
  }
}

device::Component component_of(nn::Op op, const Layer& l, nn::Padding padding) {
  device::Component c;
  c.layer.op = op;
  c.layer.name = nn::op_name(op);
  c.layer.inputs = {nn::LayerSpec::kInput};
  nn::Attributes& attr = c.layer.attr;
  attr.units = l.out_channel;
  attr.kernel = {l.kernel_height, l.kernel_width};
  attr.stride = {l.stride, l.stride};
  attr.padding = padding;
  if (op == nn::Op::kFc) {
    c.in = {{l.in_channel}};
  } else if (op == nn::Op::kGru || op == nn::Op::kLstm) {
    c.in = {{l.step, l.in_channel}};
  } else if (op == nn::Op::kConv2d || op == nn::Op::kMaxPool || op == nn::Op::kAvgPool) {
    c.in = {{l.in_height, l.in_width, l.in_channel}};
  } else {
    core::fail("--op {}: sweep knows conv2d, fc, gru, lstm, max_pool and avg_pool", nn::op_name(op));
  }
  attr.relu = op == nn::Op::kConv2d || op == nn::Op::kFc;
  nn::check_shape("sweep:", "the input", c.in[0]);
  nn::output_shape(c.layer, c.in);  // throws Error where the window does not fit
  return c;
}

nlohmann::json config_json(nn::Op op, const Layer& l) {
  nlohmann::json config = {{"op", nn::op_name(op)}};
  const bool image = op == nn::Op::kConv2d || op == nn::Op::kMaxPool || op == nn::Op::kAvgPool;
  for (const auto& f : kFields) {
    const std::string name = f.name;
    const bool dim = name.ends_with("_dim"), channel = name.ends_with("_channel"), step = name == "step";
    const bool has = image ? !dim && !step : dim || (step && op != nn::Op::kFc);
    if (has && !(channel && !image)) config[name] = l.*f.value;
  }
  return config;
}

void sweep(SweepFlags& flags) {
  const nn::Op op = flags.table1 ? nn::Op::kConv2d : profile::op_from_name(flags.op);
  if (flags.padding != "same" && flags.padding != "valid")
    core::fail("--padding {}: wanted same or valid", flags.padding);
  if (flags.passes < 1 || flags.passes > 1000) core::fail("--passes {}: wanted 1 to 1000", flags.passes);
  const nn::Padding padding = flags.padding == "same" ? nn::Padding::kSame : nn::Padding::kValid;
  std::tie(flags.layer.in_height, flags.layer.in_width) = two(flags.in, "--in");
  std::tie(flags.layer.kernel_height, flags.layer.kernel_width) = two(flags.kernel, "--kernel");
  std::vector<Vary> varies;
  std::vector<Layer> layers;
  if (flags.table1) {
    for (const auto& [in, out] : {std::pair(8, 32), {32, 8}, {66, 32}, {43, 64}})
      layers.push_back({.in_height = 224, .in_width = 224, .in_channel = in, .out_channel = out});
  } else {
    if (flags.vary.empty()) core::fail("sweep: give --vary FIELD[,FIELD]=A..B[:STEP] or --table1");
    for (const std::string& text : flags.vary) varies.push_back(read_vary(text));
    const nlohmann::json fields = config_json(op, flags.layer);
    for (const Vary& vary : varies)
      for (const std::string& field : vary.fields)
        if (!fields.contains(field)) core::fail("--vary {}: {} has no such size", field, nn::op_name(op));
    expand(varies, 0, flags.layer, layers);
  }
  if (!flags.csv.empty()) check_writable(flags.csv);
  std::string prefix = flags.svg;  // of the figure's files
  if (prefix.ends_with(".svg")) prefix.resize(prefix.size() - 4);
  if (!prefix.empty()) check_writable(prefix + ".svg");

  std::vector<device::Component> components;
  components.reserve(layers.size());
  for (const Layer& layer : layers) components.push_back(component_of(op, layer, padding));
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
  std::vector<device::Job> jobs;
  for (const device::Job& group : profile::groups(shuffled))
    for (device::Job& job : device::with_caches(group, device::cache_mode(flags.cache))) jobs.push_back(std::move(job));
  // Stored like a profile's readings, so that a stopped sweep goes on; a finished one is made anew.
  const device::Identity identity = runner->identity();
  profile::Store store(store_path(flags.profiling.database));
  nlohmann::json asked = flags.vary;
  if (flags.table1) asked = "table1";
  const nlohmann::json request = {
      {"sweep", {{"vary", asked}, {"layer", config_json(op, flags.layer)}, {"padding", flags.padding}}},
      {"seed", options.seed},
      {"cache", flags.cache}};
  profile::Store::Run run = store.open_run(identity, request);
  if (!run.finished.empty()) {
    store.remove(profile::Store::Kind::kRun, run.id);
    run = store.open_run(identity, request);
  }
  if (run.jobs == 0) store.add_jobs(run.id, jobs);
  const std::vector<profile::PassReading> there = store.readings(run.id);
  if (!there.empty()) fmt::print(stderr, "going on with {} readings that are there\n", there.size());
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
    nlohmann::json config = config_json(op, layers[i]);
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
      fmt::print(stderr, "{}; {} has the data\n", plotted.missing, plotted.files[0]);
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
