// What the commands about time share: which device and engine, the database, the networks that are meant. Called by
// profile, sweep, fit, predict and db.
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "cli/options.h"
#include "nn/spec.h"
#include "profile/network_timing.h"
#include "profile/runner.h"
#include "profile/store.h"
#include "profile/time_model.h"

namespace fdi::cli {

struct ProfilingOptions {
  CommonOptions common;  // threads: 1 unless given; isa: of the device
  std::string device = "local", engine = "native";
  std::string database;  // empty: profile::default_store_path()
};

// Adds --device, --engine, --isa, --threads, --db, --json and --seed. Unlike add_common, nothing is set in this
// process: ISA and threads are the device's.
void add_profiling(CLI::App& command, ProfilingOptions& options, std::function<void()> work);
void add_database(CLI::App& command, ProfilingOptions& options);  // --db alone
std::unique_ptr<profile::Runner> make_runner(const ProfilingOptions& options);
std::string store_path(const std::string& database);  // the usual one of an empty name

// A model file, a file that describes a network, or a name of the zoo; `width` scales the zoo's channels.
nn::NetworkSpec read_network(const std::string& what, double width = 1);

// All jobs as the cache mode of that name runs them; throws Error for an unknown one.
std::vector<device::Job> with_caches(std::span<const device::Job> jobs, const std::string& mode);

// Whether a run tells what layers take within networks: it is no sweep, of the cache mode "network", and of readings
// as they are taken now.
bool in_networks(const profile::Store::Run& run);

// Everything that was measured on a device in such runs (or in one run), the later of two readings of the same
// component. Empty where nothing was.
profile::SampleSet stored_samples(profile::Store& store, const profile::Store::Device& device, int64_t run = 0);

// " (what it holds is of native 0.1.0, other kernels; engine onednn)": how the database's devices differ from this one;
// empty where there are none. Makes no database.
std::string other_devices(const std::string& database, const device::Identity& identity);

// Learns a model from the samples, without the ops that have too few, and keeps it in that database, where one is
// named, and on the device, where `runner` reaches one behind an agent. Says on standard error which ops it leaves out
// and where the model cannot be kept. An emulated device is refused unless `force`.
struct Fitted {
  profile::TimeModel model;
  int64_t id = 0;          // in the database; 0: not kept
  bool on_device = false;  // kept there, too
};
Fitted fit_model(const profile::SampleSet& set, const profile::FitOptions& options, bool force,
                 const std::string& database, profile::Runner* runner);

// Says on standard error where a model's samples were measured so unsteadily that no prediction of these components can
// be sure, and what to do.
void warn_if_noisy(const profile::TimeModel& model, std::span<const device::Component> components);

// Times whole networks on the runner's device, live; says on standard error where the machine was busy or slower than
// it was when `database` was filled.
profile::NetworkTimings time_networks(profile::Runner& runner, std::span<const nn::NetworkSpec> networks,
                                      const std::string& database);

// What the reference kernel took while the device was profiled; 0 where it was not.
double profiled_reference_us(profile::Store& store, const device::Identity& identity);

// Says on standard error where the machine is this many times as slow as it was then, and what follows.
void warn_if_slow(double slowness, std::string_view so);

// Says on standard error where the process had to share its processor: the times are too long then.
void warn_if_busy(double cpu_share);

// "conv2d" -> ops; throws Error for an unknown one.
std::vector<nn::Op> read_ops(const std::vector<std::string>& names);

}  // namespace fdi::cli
