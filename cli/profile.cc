// `fastdeepiot profile`: times components on a device and stores every reading. The same command goes on where an
// earlier one was stopped.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/measuring_lock.h"
#include "cli/profile_run.h"
#include "cli/terminal.h"
#include "core/error.h"
#include "core/file.h"
#include "core/progress.h"
#include "core/text.h"
#include "nn/layer.h"
#include "profile/adaptive.h"
#include "profile/campaign.h"
#include "profile/sampler.h"

namespace fdi::cli {
namespace {

using profile::Store;

profile::SamplingScope read_scope(const ProfileFlags& flags, profile::Runner& runner) {
  profile::SamplingScope scope;
  if (!flags.scope.empty())
    scope = profile::scope_from_json(nn::parse_json(core::read_file(flags.scope, 64 << 20), flags.scope), flags.scope);
  for (const std::string& network : flags.networks) scope.networks.push_back(read_network(network, flags.width));
  scope.networks.insert(scope.networks.end(), flags.specs.begin(), flags.specs.end());
  if (!flags.ops.empty()) scope.ops = read_ops(flags.ops);
  if (flags.max_mflop != 0) scope.max_mflop = flags.max_mflop;
  const bool all = scope.ops.empty();
  if (all) scope.ops = profile::Sampler(scope, 0).ops();
  std::string lacking;
  std::erase_if(scope.ops, [&](nn::Op op) {
    const bool lacks = !runner.supports(op);
    if (lacks) lacking += (lacking.empty() ? "" : ", ") + std::string(nn::op_name(op));
    return lacks;
  });
  if (!lacking.empty() && (!all || scope.ops.empty()))
    core::fail("--op {}: the engine {} has none of its own; leave it out", lacking, flags.profiling.engine);
  if (!lacking.empty()) note("{} has no {}: left out", flags.profiling.engine, lacking);
  return scope;
}

// The run's jobs; drawn and stored where it is new.
std::vector<device::Job> jobs_of(Store& store, const Store::Run& run, const profile::SamplingScope& scope,
                                 const ProfileFlags& flags) {
  std::vector<device::Job> jobs = store.jobs(run.id);
  if (!jobs.empty()) return jobs;
  profile::Sampler sampler(scope, flags.profiling.common.seed);
  jobs = sampler.draw_jobs(flags.samples);
  if (jobs.empty()) core::fail("--max-mflop {}: leaves nothing of the scope", scope.max_mflop);
  if (sampler.too_large() > 0)
    note("left out: {:.1f}% of the draws, larger than {} MFLOP (--max-mflop)",
         100.0 * static_cast<double>(sampler.too_large()) / static_cast<double>(sampler.drawn()), scope.max_mflop);
  jobs = with_caches(jobs, flags.cache);
  store.add_jobs(run.id, jobs);
  return jobs;
}

// "1300 components (845 conv2d, 130 fc, 325 max_pool)"; says where an op will have too few for a model.
std::string counts_of(const std::vector<device::Job>& jobs) {
  std::map<nn::Op, int> counts;
  int total = 0;
  for (const device::Job& job : jobs)
    for (const device::Component& c : device::components(job)) {
      ++counts[c.layer.op];
      ++total;
    }
  std::string text;
  const int least = profile::FitOptions().least_samples();
  for (const auto& [op, n] : counts) {
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", n, nn::op_name(op));
    if (n < least) note("{}: {} components, and a model needs {}: give more --samples", nn::op_name(op), n, least);
  }
  return fmt::format("{} components ({})", total, text);
}

// A campaign per round over all jobs so far, with more of the ops whose error the last one left large. What an earlier,
// interrupted call has chosen and measured is gone through again without measuring.
profile::CampaignResult adaptive_campaign(profile::Runner& runner, Store& store, const Store::Run& run,
                                          const profile::SamplingScope& scope, const ProfileFlags& flags,
                                          const profile::CampaignOptions& options) {
  const CommonOptions& common = flags.profiling.common;
  profile::CampaignResult all;
  profile::Sampler sampler(scope, common.seed);
  std::vector<device::Job> chosen = store.jobs(run.id);
  std::map<std::pair<size_t, int>, profile::PassReading> known;  // by job and pass
  for (const profile::PassReading& r : store.readings(run.id)) known[{r.job, r.pass}] = r;
  size_t used = 0;  // jobs
  const auto measure = [&](std::span<const device::Job> more, int passes) {
    if (flags.minutes > 0 && all.minutes >= flags.minutes) return std::vector<profile::Sample>();  // the end
    const std::vector<device::Job> jobs = with_caches(more, flags.cache);
    if (chosen.size() == used) {
      chosen.insert(chosen.end(), jobs.begin(), jobs.end());
      store.add_jobs(run.id, jobs);
    }
    used = std::min(chosen.size(), used + jobs.size());
    std::vector<profile::PassReading> there;
    for (const auto& [at, reading] : known)
      if (at.first < used && at.second < passes) there.push_back(reading);
    profile::CampaignOptions round = options;
    round.passes = passes;
    round.outliers_again = passes == flags.passes;
    if (flags.minutes > 0) round.minutes = flags.minutes - all.minutes;
    const std::span<const device::Job> so_far(chosen.data(), used);
    profile::CampaignResult result = profile::run_campaign(runner, so_far, there, round);
    result.minutes += all.minutes;
    result.remeasured += all.remeasured;
    all = std::move(result);
    for (const profile::PassReading& r : all.readings) known[{r.job, r.pass}] = r;
    return profile::combine(so_far, all.readings);
  };
  profile::AdaptiveOptions adaptive;
  adaptive.samples = flags.samples;
  adaptive.passes = flags.passes;
  adaptive.target_mape = flags.target_mape / 100;
  const profile::AdaptiveResult result = profile::sample_adaptively(sampler, adaptive, measure);
  std::string text;
  for (const profile::AdaptiveRound& round : result.rounds) {
    text += fmt::format("{} samples, {} passes:", round.samples, round.passes);
    for (const auto& [op, mape] : round.mape) text += fmt::format("  {} {:.2f}%", nn::op_name(op), 100 * mape);
    text += '\n';
  }
  print(common, text + (result.reached ? "the target is reached\n" : ""));
  return all;
}

}  // namespace

nlohmann::json profile_device(const ProfileFlags& flags, profile::Runner& runner) {
  if (flags.samples < 1 || flags.samples > 1'000'000) core::fail("--samples {}: wanted 1 to 1000000", flags.samples);
  if (flags.passes < 1 || flags.passes > 1000) core::fail("--passes {}: wanted 1 to 1000", flags.passes);
  if (!(flags.minutes >= 0)) core::fail("--minutes {}: wanted a number above 0", flags.minutes);
  if (!(flags.max_mflop >= 0)) core::fail("--max-mflop {}: wanted a number above 0", flags.max_mflop);
  if (!(flags.target_mape >= 0)) core::fail("--target-mape {}: wanted a percentage above 0", flags.target_mape);
  if (!flags.csv.empty()) check_writable(flags.csv);
  const CommonOptions& common = flags.profiling.common;
  profile::CampaignOptions options;
  device::cache_mode(flags.cache);  // an unknown name is refused before anything is done

  const device::Identity identity = runner.identity();
  const profile::SamplingScope scope = read_scope(flags, runner);
  const std::string database = store_path(flags.profiling.database);
  Store store(database);
  store.check();
  const MeasuringLock of_device(database, flags.profiling.device);
  nlohmann::json request = {{"scope", profile::scope_to_json(scope)},
                            {"samples", flags.samples},
                            {"seed", common.seed},
                            {"cache", flags.cache},
                            {"stopwatch", device::kStopwatch}};
  if (flags.adaptive) request["adaptive"] = true;
  const double reference_us = profiled_reference_us(store, identity);
  const Store::Run run = store.open_run(identity, request);
  const MeasuringLock of_run(database, fmt::format("run {}", run.id));
  std::vector<device::Job> jobs;
  if (!flags.adaptive) jobs = jobs_of(store, run, scope, flags);
  const std::vector<profile::PassReading> there = store.readings(run.id);

  print(common,
        fmt::format("{}\n{}, {} passes; run {} in {}\n", device::key(identity),
                    flags.adaptive ? fmt::format("up to {} components, in rounds", flags.samples) : counts_of(jobs),
                    flags.passes, run.id, core::printable(database)));
  if (identity.emulated) note("this device is emulated: its times mean nothing");
  if (const std::string warning = device::clock_warning(identity); !warning.empty()) note("{}", warning);
  // An adaptive run that has reached its target goes on to another one.
  const bool complete = !flags.adaptive && !run.finished.empty() && run.readings >= int64_t{run.jobs} * flags.passes;
  if (complete)
    note("this run is complete; to measure anew give another --seed, or `fastdeepiot db remove --run {}`", run.id);
  else if (!there.empty())
    note("going on with {} readings that are there", there.size());

  core::Progress progress;
  options.passes = flags.passes;
  options.seed = common.seed;
  options.minutes = flags.minutes;
  options.keep = [&](const profile::PassReading& reading) { store.keep(run.id, reading); };
  options.progress = [&](const profile::CampaignProgress& p) {
    progress.update(fmt::format("{}/{} readings, {} re-measured, {} left", p.done, p.total, p.remeasured,
                                core::format_duration(p.seconds_left)));
  };
  profile::CampaignResult result;
  if (complete) {
    result.readings = there;
    result.passes = flags.passes;
  } else if (flags.adaptive)
    result = adaptive_campaign(runner, store, run, scope, flags, options);
  else
    result = profile::run_campaign(runner, jobs, there, options);
  if (flags.adaptive) jobs = store.jobs(run.id);
  store.finish_run(run.id);

  const std::vector<profile::Sample> samples = profile::combine(jobs, result.readings);
  int most = 0;
  for (const profile::Sample& sample : samples) most = std::max(most, static_cast<int>(sample.pass_us.size()));
  const bool cut = result.passes < flags.passes;
  progress.finish(fmt::format("{} samples in {:.1f} min, {}{} passes, {} readings re-measured{}", samples.size(),
                              result.minutes, result.passes < most ? fmt::format("{} to ", result.passes) : "", most,
                              result.remeasured,
                              cut ? fmt::format("; there was no time for all {}", flags.passes) : ""));
  warn_if_busy(result.cpu_share);
  if (reference_us > 0) warn_if_slow(profile::usual_reference_us(result.readings) / reference_us, "so are these times");
  if (!flags.csv.empty()) profile::write_samples_csv(flags.csv, {identity, samples});
  return {{"samples", samples.size()},
          {"minutes", result.minutes},
          {"remeasured", result.remeasured},
          {"device", device::key(identity)},
          {"run", run.id},
          {"passes", result.passes}};
}

std::vector<CLI::Option*> add_amount(CLI::App& command, ProfileFlags& flags) {
  return {
      command.add_option("--samples", flags.samples, "Components to time")->type_name("N")->capture_default_str(),
      command
          .add_option("--minutes", flags.minutes,
                      "Where all passes would take longer, make fewer over what takes long, two at least; 0: no limit")
          ->type_name("X")
          ->capture_default_str()};
}

void add_profile(CLI::App& app) {
  CLI::App* command = app.add_subcommand("profile", "Time layers on a device; what a time model is learnt from");
  const auto flags = std::make_shared<ProfileFlags>();
  command
      ->add_option("--op", flags->ops, "Only these layers: conv2d, fc, gru, lstm, ...; all of the scope unless given")
      ->type_name("OP")
      ->delimiter(',');
  command
      ->add_option(
          "--for", flags->networks,
          "Layers of this network, at widths up to its own and some up to the next multiple of 32, where `expand` may "
          "go: a model file, a description (.json) or a name of the zoo; may be given again")
      ->type_name("MODEL")
      ->take_all();
  command->add_option("--width", flags->width, "Scales the channels of the zoo's networks")
      ->type_name("X")
      ->capture_default_str();
  add_amount(*command, *flags);
  command->add_option("--passes", flags->passes, "Times that each is measured, in shuffled order")
      ->type_name("N")
      ->capture_default_str();
  command
      ->add_option(
          "--cache", flags->cache,
          "What lies in the caches when a layer begins: warm (itself), network (what its network leaves), cold")
      ->type_name("MODE")
      ->capture_default_str();
  command
      ->add_option(
          "--max-mflop", flags->max_mflop,
          "Leave out larger components (4000 unless given, which leaves out a quarter of Table 2's convolutions)")
      ->type_name("X");
  auto* adaptive = command->add_flag(
      "--adaptive", flags->adaptive,
      "In rounds, until the model is good enough: networks (--for), or layers chosen to spread evenly");
  command
      ->add_option("--target-mape", flags->target_mape,
                   "With --adaptive: stop where every op's error on unseen samples is below this many percent")
      ->type_name("X")
      ->needs(adaptive);
  command->add_option("--scope", flags->scope, "What to draw from, in a JSON file; Table 2 of the paper unless given")
      ->type_name("FILE");
  command->add_option("--csv", flags->csv, "Also write the samples as a table")->type_name("FILE");
  command->footer(
      "Example:\n  fastdeepiot profile --op conv2d,fc,gru,lstm --samples 1300\n"
      "  fastdeepiot profile --isa sse4 --for runs/vgg/model.safetensors\n"
      "  fastdeepiot profile --device ssh:pi@board --for vgg16 --minutes 15\n"
      "Each reading is stored as it is taken; interrupted, the same command goes on.\n\n"
      "Widths are drawn at random; in half of the draws all of a layer's (a network's) are multiples of one of 2, 4, "
      "8,\n"
      "16 and 32, because engines are fast there. {\"uniform\": true} in the --scope file leaves that out.");
  add_profiling(*command, flags->profiling, [flags] {
    write_result(flags->profiling.common, profile_device(*flags, *make_runner(flags->profiling)));
  });
}

}  // namespace fdi::cli
