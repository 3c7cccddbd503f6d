// `fastdeepiot fit`: learns a time model from what was measured, prints its rules and how good it is, and keeps it in
// the database.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "cli/commands.h"
#include "cli/figures.h"
#include "cli/profiling.h"
#include "cli/terminal.h"
#include "core/error.h"
#include "core/file.h"
#include "core/text.h"
#include "profile/compare.h"
#include "profile/op_model.h"

namespace fdi::cli {
namespace {

struct FitFlags {
  ProfilingOptions profiling;
  std::string samples, features = "granular", weighting = "relative", out, figures;
  int64_t run = 0;
  bool force = false, compare = false;
};

// "sweeps (run 1, 2) and cold caches (run 3)": runs that no model of a device is fitted from.
std::string other_readings(profile::Store& store, const profile::Store::Device& device) {
  std::map<std::string, std::string> runs;  // by what they hold
  for (const profile::Store::Run& run : store.runs(device.id)) {
    if (run.readings == 0) continue;
    const std::string cache = run.request.value("cache", "network");
    const std::string what = run.request.contains("sweep") ? "sweeps"
                             : cache != "network"          ? cache + " caches"
                             : in_networks(run)            ? "layers timed at 0 us"  // else it had been fitted
                                                           : "times of an earlier stopwatch";
    std::string& of = runs[what];
    of += fmt::format("{}{}", of.empty() ? "" : ", ", run.id);
  }
  std::string text;
  for (const auto& [what, numbers] : runs)
    text += fmt::format("{}{} (run {})", text.empty() ? "" : " and ", what, numbers);
  return text;
}

// From the CSV file, the run, or all runs of the device; whether they are what predictions are to be made of.
struct Samples {
  profile::SampleSet set;
  bool usual = true;
  std::unique_ptr<profile::Runner> runner = nullptr;  // of the device, where it was asked who it is
};
Samples read_samples(const FitFlags& flags, std::optional<profile::Store>& store) {
  if (!flags.samples.empty()) {
    std::vector<std::string> notes;
    Samples chosen{profile::read_samples_csv(flags.samples, &notes)};
    for (const std::string& text : notes) note("{}", text);
    return chosen;
  }
  if (flags.run != 0) {
    for (const profile::Store::Run& run : store->runs(0))
      if (run.id == flags.run)
        for (const profile::Store::Device& device : store->devices())
          if (device.id == run.device) return {stored_samples(*store, device, run.id), in_networks(run)};
    core::fail("--run {}: there is none in {}; `fastdeepiot db list` shows them", flags.run,
               store_path(flags.profiling.database));
  }
  std::unique_ptr<profile::Runner> runner = make_runner(flags.profiling);
  const device::Identity identity = runner->identity();
  const std::optional<profile::Store::Device> device = store->find_device(identity);
  profile::SampleSet set{identity, {}};
  if (device) set = stored_samples(*store, *device);
  if (set.samples.empty()) {
    const std::string database = store_path(flags.profiling.database);
    if (device && device->readings > 0)
      core::fail(
          "{}: of this device {} holds only {}; `fit --run N` fits such a run, `fastdeepiot profile` measures more",
          device::key(identity), database, other_readings(*store, *device));
    core::fail("{}: nothing was measured on this device in {}{}; `fastdeepiot profile` does that",
               device::key(identity), database, other_devices(database, identity));
  }
  return {set, true, std::move(runner)};
}

// The device of the samples, where --device leads to it; null: to another one.
std::unique_ptr<profile::Runner> reach(const ProfilingOptions& options, const device::Identity& device) {
  try {
    std::unique_ptr<profile::Runner> runner = make_runner(options);
    if (device::key(runner->identity()) == device::key(device)) return runner;
  } catch (const core::Error& e) {
    note("{}", e.what());
  }
  return nullptr;
}

std::string quality_table(const profile::TimeModel& model) {
  std::string text = fmt::format("{:<15} {:>7} {:>8} {:>7} {:>11} {:>7} {:>10} {:>10} {:>11}\n", "op", "samples",
                                 "held out", "MAPE", "MAE (us)", "R2", "within 5%", "within 10%", "noise floor");
  for (const auto& [op, q] : model.quality())
    text += fmt::format("{:<15} {:>7} {:>8} {:>6.2f}% {:>11.2f} {:>7.4f} {:>9.1f}% {:>9.1f}% {:>10.2f}%\n",
                        nn::op_name(op), q.samples, q.held_out, 100 * q.mape, q.mae_us, q.r2, 100 * q.within_5,
                        100 * q.within_10, 100 * q.noise_floor);
  text += "\np-values (t-test of each variable, least squares without constraint)\n";
  for (const auto& [op, q] : model.quality()) {
    text += fmt::format("{:<15}", nn::op_name(op));
    for (const auto& [name, p] : q.p_values) text += fmt::format("  {} {:.2g}", name, p);
    text += '\n';
  }
  return text;
}

void fit(const FitFlags& flags) {
  profile::FitOptions options;
  options.seed = flags.profiling.common.seed;
  options.features = flags.features == "paper" ? profile::Features::kPaper : profile::Features::kGranular;
  options.weighting = flags.weighting == "paper" ? profile::Weighting::kPaper : profile::Weighting::kRelative;
  if (!flags.out.empty()) check_writable(flags.out);
  std::optional<profile::Store> store;
  const std::string database = flags.samples.empty() ? store_path(flags.profiling.database) : "";
  if (flags.samples.empty()) store.emplace(database, profile::Store::Access::kRead);
  const auto [set, usual, runner] = read_samples(flags, store);
  // Others are to be looked at: `predict` and `compress` take the newest that the database has.
  const bool keep = store && usual && flags.features == "granular" && flags.weighting == "relative";
  const auto [model, id, on_device] = fit_model(set, options, flags.force, keep ? database : "", runner.get());
  std::vector<device::Component> components;
  for (const profile::Sample& sample : set.samples) components.push_back(sample.component);
  warn_if_noisy(model, components);
  if (!flags.out.empty()) core::write_file_atomically(flags.out, model.to_json().dump(2) + "\n");
  if (!flags.figures.empty()) {
    const std::unique_ptr<profile::Runner> reached = runner ? nullptr : reach(flags.profiling, set.device);
    draw_figures(flags.figures, set, model, options, runner ? runner.get() : reached.get(), flags.profiling);
  }
  const CommonOptions& common = flags.profiling.common;
  print(common, fmt::format("{}{}\n\n{}\n{}", device::key(set.device),
                            set.device.emulated ? "  (EMULATED: these times mean nothing)" : "", model.rules(),
                            quality_table(model)));
  if (id != 0)
    print(common, fmt::format("\nmodel {} in {}{}\n", id, core::printable(database),
                              on_device ? ", and kept on the device" : ""));
  else if (store && !keep)
    print(common,
          "\nnot kept in the database, whose models are granular, relative and of whole networks; --out keeps it\n");
  nlohmann::json compared;
  if (flags.compare) {
    const profile::Comparison comparison = profile::compare(set, options);
    print(common, "\n" + comparison.text());
    for (const auto& [op, qualities] : comparison.quality)
      for (size_t i = 0; i < qualities.size(); ++i)
        compared[std::string(nn::op_name(op))][comparison.regressors[i]] = {
            {"mape", qualities[i].mape}, {"mae_us", qualities[i].mae_us}, {"r2", qualities[i].r2}};
  }
  nlohmann::json ops = nlohmann::json::object();
  for (const auto& [op, q] : model.quality()) ops[std::string(nn::op_name(op))] = profile::quality_to_json(q);
  nlohmann::json result = {{"device", device::identity_to_json(set.device)},
                           {"engine", set.device.engine},
                           {"ops", ops},
                           {"rules", model.rules()}};
  if (flags.compare) result["compare"] = std::move(compared);
  write_result(common, result);
}

}  // namespace

void add_fit(CLI::App& app) {
  CLI::App* command = app.add_subcommand("fit", "Learn how long layers take on a device, as rules that a person reads");
  const auto flags = std::make_shared<FitFlags>();
  auto* samples =
      command->add_option("--samples", flags->samples, "From this table (profile --csv) rather than the database")
          ->type_name("CSV");
  command->add_option("--run", flags->run, "From one run of the database (db list); all of the device's unless given")
      ->type_name("N")
      ->excludes(samples);
  command
      ->add_option("--features", flags->features,
                   "granular: sizes may be rounded up to what the engine computes at once; paper: as in the paper")
      ->check(CLI::IsMember({"granular", "paper"}))
      ->capture_default_str();
  command
      ->add_option("--weighting", flags->weighting,
                   "relative: least relative squared error; paper: least squared error in microseconds")
      ->check(CLI::IsMember({"relative", "paper"}))
      ->capture_default_str();
  command->add_flag("--compare", flags->compare,
                    "Also fit SVR, DT, RF, GBRT, DNN (scikit-learn) and FLOPs alone on the same samples: Table 5");
  command->add_option("--out", flags->out, "Also write the model to a file")->type_name("FILE");
  command
      ->add_option(
          "--figures", flags->figures,
          "Write the model's data and draw its trees (figure 2) and the safe region (figure 4) in this folder; on the "
          "device of the samples ten layers of that region are timed before and after widening")
      ->type_name("DIR");
  command->add_flag("--force", flags->force, "Learn from an emulated device too");
  command->footer(
      "Example:\n  fastdeepiot fit --figures figures --json fit.json\n"
      "  fastdeepiot fit --samples samples.csv --features paper\n"
      "A table (--samples) needs the columns op, in_channel (or in_dim), median_us (microseconds) and what else "
      "describes the "
      "layer:\n"
      "in_height, in_width, step, out_channel, kernel_height, kernel_width, stride_height, stride_width, padding, "
      "...;\n"
      "what is left out has its usual value. Separated by commas, semicolons or tabs.");
  add_profiling(*command, flags->profiling, [flags] { fit(*flags); });
  // They say which of the database's samples are meant; only --figures measures, on the device of the samples.
  command->get_option("--device")
      ->description("Whose samples: local, or the device behind an agent (see profile), which is asked who it is");
  command->get_option("--engine")->description("Samples of this engine's kernels: native, onednn, xnnpack");
  command->get_option("--isa")->description(
      "Samples of the native kernels on this instruction set; of the best one unless given");
  command->get_option("--threads")->description("Samples that were measured on so many threads");
}

}  // namespace fdi::cli
