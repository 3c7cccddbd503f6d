#include "cli/report_measure.h"

#include <fmt/format.h>

#include <filesystem>

#include "cli/compress_methods.h"
#include "compress/search.h"
#include "core/error.h"
#include "core/file.h"
#include "device/identity.h"
#include "kernels/isa.h"

namespace fdi::cli {
namespace {

namespace fs = std::filesystem;

// A network, and where its times belong.
struct Contender {
  nn::Model model;
  std::vector<Run*> runs;
  bool original = false;
};

std::string beside(const Run& run, const char* name) { return (fs::path(run.file).parent_path() / name).string(); }

// The runs' networks, and every original once: a run keeps its in the search's checkpoint, one that was widened has the
// original of the run that it came from.
std::vector<Contender> contenders_of(std::vector<Run>& runs) {
  std::vector<Contender> all;
  const auto original_of = [&](const Run& run) {
    return std::ranges::find_if(
        all, [&](const Contender& c) { return c.original && c.runs.front()->original.widths == run.original.widths; });
  };
  for (Run& run : runs)
    if (original_of(run) == all.end() && core::path_exists(beside(run, kSearchFile)))
      all.push_back({std::move(compress::load_search(beside(run, kSearchFile)).model), {&run}, true});
  for (Run& run : runs) {
    const auto original = original_of(run);
    if (original == all.end())
      core::fail("{}: the network that it was made from is not known: there is no {} beside it; make the run again",
                 run.file, kSearchFile);
    if (original->runs.front() != &run) original->runs.push_back(&run);
  }
  for (Run& run : runs) all.push_back({nn::load_model(beside(run, "model.safetensors")), {&run}, false});
  return all;
}

}  // namespace

void measure_runs(std::vector<Run>& runs, const TimingOptions& timing) {
  std::vector<Contender> contenders = contenders_of(runs);
  const AsTimed timed(timing);
  std::vector<nn::NetworkSpec> networks;
  networks.reserve(contenders.size());
  for (const Contender& c : contenders) networks.push_back(c.model.spec);
  TimingOptions any_device = timing;
  any_device.force = true;  // what --force would take elsewhere is refused here, and not recommended before
  const auto chosen = find_time_model(any_device, timed.identity(), contenders.front().model.spec);
  if (chosen && chosen->forced())
    core::fail("{}: --measure shows times of this machine beside what its own model predicts{}", chosen->note,
               timing.model.empty() ? "" : "; leave out --time-model");
  const std::vector<profile::NetworkTiming> times = timed.time(networks);
  for (size_t i = 0; i < contenders.size(); ++i) {
    const Contender& c = contenders[i];
    std::optional<profile::NetworkPrediction> predicted;
    if (chosen) predicted = profile::predict_network(chosen->model, c.model.spec);
    for (Run* run : c.runs) {
      Design& design = c.original ? run->original : run->result;
      design.measured_ms = times[i].total.median_us / 1000;
      design.predicted_ms.reset();
      if (!predicted) continue;
      design.predicted_ms = predicted->total_us / 1000;
      run->layers.resize(predicted->layers.size());
      for (size_t l = 0; l < run->layers.size(); ++l) {
        run->layers[l].name = predicted->layers[l].name;
        (c.original ? run->layers[l].before_us : run->layers[l].after_us) = predicted->layers[l].prediction.us;
      }
    }
  }
  for (Run& run : runs) {
    const std::string isa = kernels::isa(), engine = timed.identity().engine;
    if (run.forced)
      run.name += " (for another device)";
    else if (run.engine != engine)
      run.name += fmt::format(" (for {})", run.engine);
    else if (run.isa != isa && engine == "native")
      run.name += fmt::format(" (for {})", run.isa);
    run.machine = device::key(timed.identity());
    run.engine = engine;
    run.isa = isa;
    run.threads = timing.threads;
  }
}

}  // namespace fdi::cli
