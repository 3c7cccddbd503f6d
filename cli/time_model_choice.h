// How a command times networks, and which time model it asks: a file's, else the newest of the device in the database.
// Called by predict, compress, shrink and expand.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "cli/profiling.h"

namespace fdi::cli {

// What a network runs on when it is timed, which need not be what trains it.
struct TimingOptions {
  std::string engine = "native", isa;  // isa: of the native kernels; empty: the one in force
  int threads = 1;
  std::string model, database;  // files; empty: the newest model of the database, the usual database
  bool force = false;
};
// Adds --engine, --time-isa, --time-threads, --time-model, --db and --force.
void add_timing(CLI::App& command, TimingOptions& options);

// What `fastdeepiot fit --out` wrote. Throws Error for a file that is damaged or something else.
profile::TimeModel read_time_model(const std::string& file);

// While it lives, the kernels run as `options` say; what trains before and after keeps its own threads and ISA.
class AsTimed {
 public:
  explicit AsTimed(const TimingOptions& options);  // throws Error for an engine, a number or a name that cannot be
  device::Identity identity() const { return runner_->identity(); }
  // In turn, as inference runs them; what it tells, see cli::time_networks.
  std::vector<profile::NetworkTiming> time(std::span<const nn::NetworkSpec> networks) const;

 private:
  struct Restore {
    ~Restore();
    int threads;
    std::string isa;
  };
  Restore before_;  // outlives the runner, and a constructor that throws
  std::string database_;
  std::unique_ptr<profile::Runner> runner_;
};

struct ChosenTimeModel {
  profile::TimeModel model;
  std::string note;  // why --force was needed: a model of another device, or of an emulated one
  bool forced() const { return !note.empty(); }
};
// The file's, else the newest of the device in the database that knows every op of the network; none where there is
// none. Throws Error for a file's model that does not know an op, and for a model of another or an emulated device
// unless it is forced.
std::optional<ChosenTimeModel> find_time_model(const TimingOptions& options, const device::Identity& device,
                                               const nn::NetworkSpec& network);
// That model of `device`; none where it does not know every op of the network. Throws Error for a model of another or
// an emulated device unless it is forced.
std::optional<ChosenTimeModel> accept_time_model(profile::TimeModel model, const TimingOptions& options,
                                                 const device::Identity& device, const nn::NetworkSpec& network);
// The model that the device keeps of itself (paper section 4.3), which is also stored in the database; where it cannot
// be stored a note on standard error says why. None, with a note, where the model cannot be read, is of another device
// or does not know every op of the network; none where the device keeps none. Throws Error as accept_time_model does.
std::optional<ChosenTimeModel> take_kept_model(profile::Runner& runner, const TimingOptions& options,
                                               const nn::NetworkSpec& network);
// Throws Error that says which commands make a model. `name`: as --for has it; `where`: as --device has it.
[[noreturn]] void fail_no_time_model(const TimingOptions& options, const device::Identity& device,
                                     const nn::NetworkSpec& network, const std::string& name,
                                     const std::string& where = "local");

// "conv3: out_channel 700 > 512" of each layer that lies outside what was sampled.
std::vector<std::string> outside_scope(const profile::NetworkPrediction& prediction);
// Also says them on standard error.
std::vector<std::string> warn_outside(const profile::NetworkPrediction& prediction);

}  // namespace fdi::cli
