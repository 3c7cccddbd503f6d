// See profiling.h.
#include "cli/profiling.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "cli/network_choice.h"
#include "cli/terminal.h"
#include "core/error.h"
#include "core/file.h"
#include "core/progress.h"
#include "nn/model_file.h"
#include "nn/zoo.h"
#include "profile/passes.h"
#include "profile/sampling_scope.h"

namespace fdi::cli {

void add_database(CLI::App& command, ProfilingOptions& options) {
  command
      .add_option("--db", options.database,
                  "The database; unless given FASTDEEPIOT_DB or ~/.local/share/fastdeepiot/fastdeepiot.db")
      ->type_name("FILE")
      ->group("Common options");
}

void add_profiling(CLI::App& command, ProfilingOptions& options, std::function<void()> work) {
  const std::string group = "Common options";
  options.common.threads = 1;
  command
      .add_option(
          "--device", options.device,
          "Where to measure: local, or what starts fastdeepiot-agent elsewhere: ssh:[USER@]HOST[:PATH], adb:SERIAL, "
          "exec:COMMAND (for /bin/sh)")
      ->type_name("WHERE")
      ->capture_default_str();
  command.add_option("--engine", options.engine, "Whose kernels: native, onednn, xnnpack")
      ->type_name("NAME")
      ->capture_default_str();
  command
      .add_option(
          "--isa", options.common.isa,
          "Instruction set of the native kernels on the device: avx512, avx2, sse4, ssse3, neon, scalar; the best "
          "unless given")
      ->type_name("NAME")
      ->group(group);
  command.add_option("--threads", options.common.threads, "Compute threads on the device")
      ->type_name("N")
      ->capture_default_str()
      ->group(group);
  add_database(command, options);
  command.add_option("--json", options.common.json, "Write the machine-readable result to FILE; - is standard output")
      ->type_name("FILE")
      ->group(group);
  command.add_option("--seed", options.common.seed, "Seed of every random draw; the same seed gives the same numbers")
      ->type_name("N")
      ->capture_default_str()
      ->group(group);
  command.callback([&command, &options, work = std::move(work)] {
    check_distinct_files(command);
    if (!options.common.json.empty() && options.common.json != "-") check_writable(options.common.json);
    work();
  });
}

std::unique_ptr<profile::Runner> make_runner(const ProfilingOptions& options) {
  if (options.device == "local") warn_if_too_many(options.common.threads);
  return profile::make_runner(options.device, {options.engine, options.common.isa, options.common.threads});
}

std::string store_path(const std::string& database) {
  return database.empty() ? profile::default_store_path() : database;
}

nn::NetworkSpec read_network(const std::string& what, double width) {
  const std::vector<std::string> zoo = nn::zoo_names();
  if (std::ranges::find(zoo, what) != zoo.end()) return nn::make_zoo(what, {.width = width, .classes = 0, .input = {}});
  if (!core::path_exists(what)) {
    std::string names;
    for (const std::string& name : zoo) names += (names.empty() ? "" : ", ") + name;
    core::fail("{}: no such file, and no network of the zoo ({})", what, names);
  }
  if (what.ends_with(".json")) return choose_network("", what, 1, {}, 0);
  return nn::load_model(what).spec;
}

std::vector<device::Job> with_caches(std::span<const device::Job> jobs, const std::string& mode) {
  std::vector<device::Job> out;
  for (const device::Job& job : jobs)
    for (device::Job& made : device::with_caches(job, device::cache_mode(mode))) out.push_back(std::move(made));
  return out;
}

bool in_networks(const profile::Store::Run& run) {
  return run.request.value("cache", "network") == "network" && !run.request.contains("sweep") &&
         run.request.value("stopwatch", 1) == device::kStopwatch;
}

profile::SampleSet stored_samples(profile::Store& store, const profile::Store::Device& device, int64_t run) {
  profile::SampleSet set{device.identity, {}};
  std::map<std::string, size_t> index;  // by component
  for (const profile::Store::Run& r : store.runs(device.id)) {
    if (run != 0 ? r.id != run : !in_networks(r)) continue;
    for (profile::Sample& sample : profile::combine(store.jobs(r.id), store.readings(r.id))) {
      const auto [at, is_new] = index.emplace(device::component_to_json(sample.component).dump(), set.samples.size());
      if (is_new)
        set.samples.push_back(std::move(sample));
      else
        set.samples[at->second] = std::move(sample);
    }
  }
  return set;
}

std::string other_devices(const std::string& database, const device::Identity& identity) {
  constexpr size_t kMost = 3;
  if (!core::path_exists(database)) return "";
  profile::Store store(database, profile::Store::Access::kRead);
  std::vector<std::string> others;
  for (const profile::Store::Device& device : store.devices()) {
    const device::Identity& other = device.identity;
    if (device::key(other) == device::key(identity) || (device.readings == 0 && device.models == 0)) continue;
    std::vector<std::string> differs;
    if (other.machine != identity.machine || other.cpu != identity.cpu)
      differs.push_back(fmt::format("{} {}", other.machine, other.cpu));
    else if (other.os != identity.os)
      differs.push_back(other.os);
    if (other.engine != identity.engine)
      differs.push_back("engine " + other.engine);
    else if (other.engine_version != identity.engine_version)
      differs.push_back(fmt::format("{} {}, other kernels", other.engine, other.engine_version));
    if (other.isa != identity.isa) differs.push_back("ISA " + other.isa);
    if (other.threads != identity.threads)
      differs.push_back(fmt::format("{} thread{}", other.threads, other.threads == 1 ? "" : "s"));
    if (other.frequency_mhz != identity.frequency_mhz)
      differs.push_back(other.frequency_mhz > 0 ? fmt::format("{} MHz", other.frequency_mhz) : "any clock");
    if (other.emulated != identity.emulated) differs.emplace_back(other.emulated ? "emulated" : "not emulated");
    others.push_back(fmt::format("{}", fmt::join(differs, ", ")));
  }
  if (others.empty()) return "";
  const size_t more = others.size() > kMost ? others.size() - kMost : 0;
  others.resize(others.size() - more);
  return fmt::format(" (what it holds is of {}{})", fmt::join(others, "; "),
                     more > 0 ? fmt::format("; and {} more", more) : "");
}

Fitted fit_model(const profile::SampleSet& set, const profile::FitOptions& options, bool force,
                 const std::string& database, profile::Runner* runner) {
  if (set.device.emulated && !force)
    core::fail("{}: is an emulated device, whose times mean nothing; --force makes a model of them all the same",
               device::key(set.device));
  Fitted fitted{profile::TimeModel::fit(set, options)};
  for (const auto& [op, samples] : fitted.model.too_few())
    note("{} is left out: {} samples, and a model needs {}; profile more of it, with more --samples", nn::op_name(op),
         samples, options.least_samples());
  if (database.empty()) return fitted;
  const nlohmann::json json = fitted.model.to_json();
  try {
    fitted.id = profile::Store(database, profile::Store::Access::kWrite).add_model(set.device, json);
  } catch (const core::Error& e) {
    note("the model is not kept: {}", e.what());
  }
  if (runner != nullptr && !set.device.emulated) try {
      fitted.on_device = runner->keep_model(json);
    } catch (const core::Error& e) {
      note("the device does not keep the model: {}", e.what());
    }
  return fitted;
}

void warn_if_noisy(const profile::TimeModel& model, std::span<const device::Component> components) {
  constexpr double kSteady = 0.03;  // an idle machine's 15 passes leave 1 to 2%
  std::string noisy;
  for (const auto& [op, quality] : model.quality())
    if (quality.noise_floor > kSteady &&
        std::ranges::any_of(components, [op = op](const device::Component& c) { return c.layer.op == op; }))
      noisy += fmt::format("{}{} {:.1f}%", noisy.empty() ? "" : ", ", nn::op_name(op), 100 * quality.noise_floor);
  if (!noisy.empty())
    note(
        "the time model's samples are noisy: two halves of the passes over them differ by {}, and predictions cannot "
        "be more precise than that; run `fastdeepiot profile --seed N` (another seed) on a quiet machine, then "
        "`fastdeepiot fit --run M` (the run that it prints)",
        noisy);
}

double profiled_reference_us(profile::Store& store, const device::Identity& identity) {
  const std::optional<profile::Store::Device> device = store.find_device(identity);
  std::vector<profile::PassReading> all;
  if (device)
    for (const profile::Store::Run& run : store.runs(device->id))
      for (profile::PassReading& reading : store.readings(run.id)) all.push_back(std::move(reading));
  return profile::usual_reference_us(all);
}

profile::NetworkTimings time_networks(profile::Runner& runner, std::span<const nn::NetworkSpec> networks,
                                      const std::string& database) {
  core::Progress progress;
  profile::NetworkTimingOptions options;
  if (const std::string path = store_path(database); core::path_exists(path)) {
    profile::Store store(path, profile::Store::Access::kRead);
    options.reference_us = profiled_reference_us(store, runner.identity());
  }
  options.progress = [&](int passes) {
    progress.update(
        fmt::format("measuring {} network{}: {} passes", networks.size(), networks.size() == 1 ? "" : "s", passes));
  };
  profile::NetworkTimings timings = profile::time_networks(runner, networks, options);
  warn_if_busy(timings.cpu_share);
  warn_if_slow(timings.slowness, "the times are divided by that, and less sure");
  return timings;
}

void warn_if_slow(double slowness, std::string_view so) {
  if (slowness > profile::kDisturbedSlowness)
    note("the machine is slower than it was when it was profiled (reference kernel {:+.0f}%): {}", 100 * (slowness - 1),
         so);
}

void warn_if_busy(double cpu_share) {
  constexpr double kIdle = 0.97;  // of a machine that does nothing else
  if (cpu_share < kIdle)
    note(
        "the machine is busy: half of the readings had less than {:.0f}% of a processor, so the times are too "
        "long; measure again when it is idle",
        100 * cpu_share);
}

std::vector<nn::Op> read_ops(const std::vector<std::string>& names) {
  std::vector<nn::Op> ops;
  ops.reserve(names.size());
  for (const std::string& name : names) ops.push_back(profile::op_from_name(name));
  return ops;
}

}  // namespace fdi::cli
