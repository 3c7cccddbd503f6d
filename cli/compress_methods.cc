#include "cli/compress_methods.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>

#include "cli/compress_result.h"
#include "cli/rounds_file.h"
#include "compress/knapsack.h"
#include "compress/shrink.h"
#include "compress/uniform.h"
#include "core/file.h"
#include "nn/evaluate.h"

namespace fdi::cli {
namespace {

using compress::Keep;

constexpr const char* kChoiceFile = "choice.json";         // so that a resumed run need not measure anew
constexpr const char* kPrunedFile = "pruned.safetensors";  // what rounds left, before fine-tuning
constexpr const char* kRoundsFile = "rounds.safetensors";  // the last finished round's
constexpr uint64_t kMaxChoiceFile = 64 << 20;

// Milliseconds of structures on this machine, in turn.
std::vector<double> measure_structures(const CompressRun& run, const std::vector<Keep>& keeps) {
  std::vector<nn::NetworkSpec> networks;
  networks.reserve(keeps.size());
  for (const Keep& keep : keeps)
    networks.push_back(nn::with_widths(run.state.model.spec, run.state.groups, widths_of(keep)));
  const AsTimed timed(run.flags.timing);
  std::vector<double> ms;
  ms.reserve(keeps.size());
  for (const profile::NetworkTiming& t : timed.time(networks)) ms.push_back(t.total.median_us / 1000);
  return ms;
}

double predicted_ms(const CompressRun& run, const Keep& keep) {
  return run.costs.predicted_ms ? run.costs.predicted_ms(widths_of(keep)) : 0;
}

// The budgets' shares, where the time may be `ms`.
compress::Cost share_within(const CompressRun& run, double ms) {
  std::vector<compress::Limit> limits = run.costs.limits;
  for (compress::Limit& limit : limits)
    if (limit.what.name == "time") limit.most = ms;
  return compress::largest_share(std::move(limits));
}

// The units that stay where share(widths) may be 1 at most, or the cheapest where none keep that.
using Pick = std::function<Keep(const compress::Cost& share)>;

// Several candidates where choices were measured.
std::vector<compress::Candidate> choose_units(const CompressRun& run, const Pick& pick) {
  if (!run.by_clock) {
    Keep keep = pick(compress::largest_share(run.costs.limits));
    const double ms = predicted_ms(run, keep);
    return {{std::move(keep), ms, 0, true}};
  }
  return compress::choose_measured(
      run.state.config.max_ms, [&](double ms) { return pick(share_within(run, ms)); },
      [&](const Keep& keep) { return predicted_ms(run, keep); },
      [&](const std::vector<Keep>& keeps) { return measure_structures(run, keeps); });
}

const compress::Candidate& chosen_of(const std::vector<compress::Candidate>& candidates) {
  return *std::ranges::find_if(candidates, &compress::Candidate::chosen);
}

// Throws Error where the choice was made by another judge than this run's.
Choice read_choice(const CompressRun& run) {
  const std::string file = run.folder.file(kChoiceFile);
  Choice choice = choice_from_json(nn::parse_json(core::read_file(file, kMaxChoiceFile), file), run.state.model.spec,
                                   run.state.groups, file);
  const auto judge = [](bool by_clock) { return by_clock ? "what is measured" : "the time model"; };
  if (choice.by_clock && *choice.by_clock != run.by_clock)
    core::fail(
        "{}: cannot resume: the structure was chosen by {}, now it would be by {} (--verify); ask for the same again, "
        "or start a new run in another folder",
        file, judge(*choice.by_clock), judge(run.by_clock));
  return choice;
}

// As chosen before, where the run was killed after that. `whole`: the network as it is.
std::vector<compress::Candidate> choose_once(const CompressRun& run,
                                             const std::function<std::vector<compress::Candidate>()>& choose,
                                             bool whole = false) {
  const std::string file = run.folder.file(kChoiceFile);
  const nn::UnitGroups& groups = run.state.groups;
  if (run.folder.has(kChoiceFile)) return read_choice(run).candidates;
  std::vector<compress::Candidate> candidates = choose();
  core::write_file_atomically(run.folder.file("keep.json"),
                              keep_to_json(chosen_of(candidates).keep, groups).dump() + "\n");
  core::write_file_atomically(file, choice_to_json({candidates, run.by_clock, whole}, groups).dump() + "\n");
  return candidates;
}

Pick pick_uniform(const CompressRun& run) {
  return [&run, score = compress::weight_scores(run.state.model, run.state.groups)](const compress::Cost& share) {
    return compress::uniform_under_budget(run.state.groups, score, share, 1);
  };
}

Chosen by_uniform(CompressRun& run) {
  std::vector<compress::Candidate> candidates = choose_once(run, [&] { return choose_units(run, pick_uniform(run)); });
  nn::Model small = compress::shrink(run.state.model, run.state.groups, chosen_of(candidates).keep);
  return {std::move(candidates), std::move(small)};
}

// Measured before the rounds: what the model is off by for the uniform network of the same time, or the fastest uniform
// one. It corrects the budgets of the rounds, so that the last choice, which is measured itself, starts near.
double corrected_ms(const CompressRun& run) {
  const double max_ms = run.state.config.max_ms;
  if (!run.by_clock) return max_ms;
  const auto measured = choose_units(run, pick_uniform(run));
  const compress::Candidate& uniform = chosen_of(measured);
  return max_ms * uniform.predicted_ms / uniform.measured_ms;
}

// A structure's accuracy is what the next round trains it to; of the last one fine-tuning tells.
void record_rounds(CompressRun& run, const Rounds& rounds) {
  const compress::Cost size = compress::size_objective(run.state.model.spec, run.state.groups).cost;
  for (size_t i = 0; i < rounds.pruned.rounds.size(); ++i) {
    const compress::PruneRound& round = rounds.pruned.rounds[i];
    compress::StageRecord& record = run.state.history.emplace_back();
    record.iteration = std::ssize(run.state.history) * run.state.config.stage_steps;
    record.widths = round.widths;
    record.size = size(round.widths);
    record.cost = round.cost;
    record.threshold = -1;  // there is none
    record.accuracy = i + 1 < rounds.accuracies.size() ? rounds.accuracies[i + 1] : -1;
    record.predicted_ms = run.costs.predicted_ms ? run.costs.predicted_ms(round.widths) : -1;
  }
}

// From a network of the units `left` to the budgets, in rounds; killed, they go on from the last one that was finished.
Chosen by_rounds(CompressRun& run, nn::Model model, const Keep& left) {
  const compress::SearchConfig& config = run.state.config;
  std::erase_if(run.state.history, [](const compress::StageRecord& record) { return record.threshold < 0; });
  const std::string file = run.folder.file(kRoundsFile);
  Rounds rounds = run.folder.has(kRoundsFile) ? load_rounds(file)
                                              : Rounds{compress::unpruned(std::move(model)), corrected_ms(run), {}};
  const compress::Cost share = share_within(run, rounds.max_ms);
  const compress::TrainAndScore train =
      compress::train_with_sgd(run.train, {.steps = config.stage_steps, .batch = config.batch, .seed = config.seed});
  core::Progress progress;
  const auto train_and_tell = [&](nn::Model& narrow, const nn::UnitGroups& groups, int round) {
    progress.update(fmt::format("round {} of {}", round, config.rounds));
    const double begin = core::monotonic_seconds();
    std::vector<double> score = train(narrow, groups, round);
    const double seconds = core::monotonic_seconds() - begin;
    rounds.accuracies.push_back(nn::evaluate(narrow.spec, narrow.parameters, config.batch, run.validation).accuracy());
    const std::vector<int> widths = nn::group_counts(groups);
    const auto& ms = run.costs.predicted_ms;
    progress.finish(fmt::format("round {} of {}  units {}  accuracy {:.2f}%{}  {:.1f} steps/s", round, config.rounds,
                                fmt::join(widths, " "), 100 * rounds.accuracies.back(),
                                ms ? fmt::format("  predicted {:.3f} ms", ms(widths)) : "",
                                config.stage_steps / seconds));
    return score;
  };
  compress::Pruned& pruned = rounds.pruned;
  prune_under_budget(pruned, share, 1, config.rounds, train_and_tell, [&] { save_rounds(file, rounds); });
  std::vector<compress::Candidate> candidates = choose_units(run, [&](const compress::Cost& most) {
    return compress::choose_under_budget(pruned.groups, pruned.score, most, 1);
  });
  const Keep last = chosen_of(candidates).keep;
  nn::Model small = compress::shrink(pruned.model, pruned.groups, last);
  for (compress::Candidate& candidate : candidates)
    candidate.keep = kept_of(left, kept_of(pruned.keep, candidate.keep));
  pruned.rounds.push_back({1, share(widths_of(last)), widths_of(last)});
  record_rounds(run, rounds);
  save_search(run.folder.file(kSearchFile), run.state);
  nn::save_model(run.folder.file(kPrunedFile), small.spec, small.parameters, small.metadata);
  candidates = choose_once(run, [&] { return candidates; });
  std::filesystem::remove(file);
  return {std::move(candidates), std::move(small)};
}
bool has_rounds(const CompressRun& run) { return run.state.config.rounds > 0; }

Chosen by_knapsack(CompressRun& run) {
  const nn::Model& model = run.state.model;
  return by_rounds(run, {model.spec, compress::copy_of(model), model.metadata}, compress::keep_all(run.state.groups));
}

// The budgets that a search is for.
compress::Costs search_costs(const CompressRun& run) {
  compress::Costs costs = run.costs;
  for (compress::Limit& limit : costs.limits)
    if (has_rounds(run)) limit.most *= compress::kSearchRoom;
  // The model calls a network cheap enough that is not: without this the search would end where it begins.
  for (compress::Limit& limit : costs.limits)
    if (limit.what.name == "time") limit.most /= std::max(1.0, run.measured_per_predicted);
  return costs;
}

Chosen by_search(CompressRun& run) {
  core::Progress progress;
  const compress::Costs costs = search_costs(run);
  compress::Search search(run.state, costs, {.checkpoint = run.folder.file(kSearchFile), .progress = &progress});
  search.run(run.train, &run.validation);
  const std::vector<float> p = search.probabilities();
  const Pick likeliest = [&](const compress::Cost& share) {
    return compress::choose_by_probability(run.state.groups, p, share, 1);
  };
  if (has_rounds(run)) {
    const Keep wide = likeliest(compress::largest_share(costs.limits));
    return by_rounds(run, search.shrunk(wide), wide);
  }
  std::vector<compress::Candidate> candidates = choose_once(run, [&] { return choose_units(run, likeliest); });
  nn::Model small = search.shrunk(chosen_of(candidates).keep);
  return {std::move(candidates), std::move(small)};
}

}  // namespace

Chosen choose_structure(CompressRun& run) {
  if (has_rounds(run) && run.folder.has(kChoiceFile))
    return {choose_once(run, {}), nn::load_model(run.folder.file(kPrunedFile))};
  if (run.flags.method != "uniform" && run.flags.method != "knapsack") return by_search(run);
  if (!run.folder.has(kSearchFile)) save_search(run.folder.file(kSearchFile), run.state);  // a run is known by it
  return run.flags.method == "uniform" ? by_uniform(run) : by_knapsack(run);
}

bool keeps_as_judged(CompressRun& run) {
  if (run.folder.has(kChoiceFile)) return read_choice(run).whole;
  if (!run.by_clock) return true;
  const Keep all = compress::keep_all(run.state.groups);
  const double ms = measure_structures(run, {all}).front();
  run.measured_per_predicted = ms / predicted_ms(run, all);
  const bool begun = !run.state.history.empty() || run.folder.has(kRoundsFile);
  return !begun && ms <= (1 - compress::kTimingNoise) * run.state.config.max_ms;
}

Chosen keep_structure(CompressRun& run) {
  const nn::Model& model = run.state.model;
  if (!run.folder.has(kSearchFile)) save_search(run.folder.file(kSearchFile), run.state);
  const Keep all = compress::keep_all(run.state.groups);
  const auto as_it_is = [&] { return std::vector<compress::Candidate>{{all, predicted_ms(run, all), 0, true}}; };
  return {choose_once(run, as_it_is, true), {model.spec, compress::copy_of(model), model.metadata}};
}

}  // namespace fdi::cli
