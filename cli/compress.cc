// `fastdeepiot compress`: a trained network and labelled images become a smaller network: search, choose, shrink,
// fine-tune.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <optional>

#include "cli/before_after.h"
#include "cli/commands.h"
#include "cli/compress_methods.h"
#include "cli/compress_result.h"
#include "cli/images.h"
#include "cli/run_folder.h"
#include "cli/terminal.h"
#include "compress/budget.h"
#include "compress/shrink.h"
#include "compress/uniform.h"
#include "core/error.h"
#include "core/file.h"
#include "core/restart.h"
#include "core/text.h"
#include "core/threads.h"
#include "nn/check_batches.h"
#include "nn/checkpoint.h"
#include "nn/evaluate.h"
#include "nn/trainer.h"

namespace fdi::cli {
namespace {

using nlohmann::json;

// The time model that a run goes by, so that a resumed one goes by the same.
constexpr const char* kTimeModel = "time_model.json";

compress::SearchState prepare(const CompressFlags& flags, const RunFolder& run, const nn::Model& original) {
  const compress::SearchConfig config = search_config(flags, image_facts(original.metadata, flags.model).image_size);
  if (!flags.resume) return {{original.spec, compress::copy_of(original), original.metadata}, config};
  compress::SearchState state = compress::load_search(run.file(kSearchFile));
  if (state.model.spec != original.spec)
    core::fail("{}: cannot resume: it is the search of another network than {}'s; give the --model that it began with",
               run.file(kSearchFile), flags.model);
  state.config.data["name"] = config.data["name"];  // the same images may lie elsewhere now
  const json now = search_config_to_json(config), before = search_config_to_json(state.config);
  for (const auto& [key, value] : now.items())
    if (before.at(key) != value)
      core::fail("{}: cannot resume: {} is {}, was {}; ask for the same again, or start a new run in another folder",
                 run.file(kSearchFile), key, value.dump(), before.at(key).dump());
  return state;
}

// None: nothing is predicted, which most methods can do without.
std::optional<ChosenTimeModel> choose_time_model(const CompressFlags& flags, const RunFolder& run,
                                                 const nn::NetworkSpec& network) {
  TimingOptions timing = flags.timing;
  if (flags.resume && run.has(kTimeModel)) timing.model = run.file(kTimeModel);
  const AsTimed timed(timing);
  auto found = find_time_model(timing, timed.identity(), network);
  if (!found && (flags.method == "fastdeepiot" || flags.max_ms))
    fail_no_time_model(timing, timed.identity(), network, core::shell_word(flags.model));
  if (!found) return found;
  if (found->forced() && flags.verify == "on")
    core::fail("{}; what a network takes there cannot be measured here: leave out --verify on", found->note);
  if (found->forced()) note("{}; times are predicted for it, nothing is timed here", found->note);
  warn_outside(profile::predict_network(found->model, network));
  return found;
}

// Throws Error where nothing can come of it: said before any training.
void check_reachable(const CompressFlags& flags, const compress::SearchState& state, const compress::Costs& costs,
                     const profile::TimeModel* model) {
  compress::check_budgets(costs.limits, state.model.spec, state.groups, model);
  if (flags.method != "uniform") return;
  const compress::Cost share = compress::largest_share(costs.limits);
  const auto score = compress::weight_scores(state.model, state.groups);
  if (share(widths_of(compress::uniform_under_budget(state.groups, score, share, 1))) > 1)
    core::fail(
        "--method uniform: no network of uniform width keeps {}, though others do; give a larger budget, or "
        "take another --method",
        target_text(state.config));
}

// Of each budget that the network does not keep: "11.7 ms of time (predicted), the budget 9 ms of time". A time is
// judged by the clock where the network was timed, else by the time model.
struct Missed {
  std::string text;            // empty: none
  bool measured_time = false;  // is among them
};
Missed missed_budgets(const compress::Costs& costs, const compress::Keep& keep, const json& compared) {
  Missed missed;
  for (const compress::Limit& limit : costs.limits) {
    double got = limit.what.cost(widths_of(keep));
    const json& measured = compared["after_ms"]["measured"];
    const bool timed = limit.what.name == "time";
    if (timed && !measured.is_null()) got = measured;
    if (got <= limit.most) continue;
    missed.measured_time = missed.measured_time || (timed && !measured.is_null());
    const int digits = compress::telling_digits(limit.what, got, limit.most);
    missed.text +=
        fmt::format("{}{}{}, the budget {}", missed.text.empty() ? "" : "; ", compress::amount(limit.what, got, digits),
                    !timed               ? ""
                    : measured.is_null() ? " (predicted)"
                                         : " (measured)",
                    compress::amount(limit.what, limit.most, digits));
  }
  return missed;
}

// In another folder: --resume is for the same request.
const char* what_to_do(bool by_clock, bool measured_time, bool unchanged) {
  if (measured_time && by_clock)
    return "--resume times it again when the machine is quiet; or give a larger budget, in another folder";
  if (measured_time && unchanged)
    return "the time model says that it needs no compression: profile and fit anew, or choose by what is measured "
           "(--verify on), or give a smaller --max-ms, in another folder";
  if (measured_time) return "choose by what is measured (--verify on), or give a larger budget, in another folder";
  return "take another --method, or give a larger budget, in another folder";
}

compress::Costs costs_of(const CompressFlags& flags, const compress::SearchState& state,
                         const profile::TimeModel* model) {
  compress::Costs costs;
  if (flags.method == "deepiot+flops") costs.objective = compress::flops_objective(state.model.spec, state.groups);
  if (flags.method == "fastdeepiot") costs.objective = compress::time_objective(state.model.spec, state.groups, *model);
  costs.limits = compress::limits_of(state.config, state.model.spec, state.groups, model);
  if (model != nullptr) costs.predicted_ms = compress::time_objective(state.model.spec, state.groups, *model).cost;
  return costs;
}

nn::Evaluation judge(const nn::Model& model, const datasets::DatasetPtr& images, int batch) {
  LoaderSource source(images, image_facts(model.metadata, model.spec.name).normalization, judging_loader(batch));
  core::Progress progress;
  return nn::evaluate(model.spec, model.parameters, batch, source, &progress);
}

// The dense network, trained on; goes on from its checkpoint where there is one.
nn::Model fine_tune(nn::Model small, const nn::Model& original, const CompressFlags& flags,
                    const nn::TrainConfig& config, const RunFolder& run, const TrainingImages& images) {
  std::optional<nn::TrainState> state;
  if (flags.resume && run.has(kCheckpointFile)) {
    state.emplace(nn::load_checkpoint(run.checkpoint()));
    state->config.data["name"] = config.data["name"];
    nn::check_resumable(run.checkpoint(), *state, small.spec, config);
  } else {
    state.emplace(small.spec, config);
    std::ranges::copy(small.parameters.all(), state->parameters.all().begin());
    state->about = small.metadata;
  }
  const auto normalization = image_facts(small.metadata, flags.model).normalization;
  LoaderSource train(images.train, normalization, training_loader(config.data, config.batch, config.seed));
  LoaderSource validation(images.validation, normalization, judging_loader(config.batch));
  core::Progress progress;
  nn::Trainer(*state, {.checkpoint = run.checkpoint(), .progress = &progress, .on_step = {}, .teacher = &original})
      .run(train, &validation);
  return {state->spec, std::move(state->parameters), std::move(state->about)};
}

void compress_model(const CompressFlags& flags) {
  if (core::threads() > 1) core::restart_with({core::kShortSpins});
  const double begin = core::monotonic_seconds();
  const nn::Model original = nn::load_model(flags.model);
  RunFolder run(flags.out, "compress", flags.resume);
  const ImageFacts facts = image_facts(original.metadata, flags.model);
  compress::SearchState state = prepare(flags, run, original);
  const nn::TrainConfig tuning = fine_tune_config(flags, state.config);
  const std::optional<ChosenTimeModel> time_model = choose_time_model(flags, run, original.spec);
  const profile::TimeModel* model = time_model ? &time_model->model : nullptr;
  const bool foreign = time_model && time_model->forced();
  const compress::Costs costs = costs_of(flags, state, model);
  std::string kept = compress::kept_already(costs.limits, state.groups);
  if (kept.empty()) check_reachable(flags, state, costs, model);
  const TrainingImages images =
      open_compression_images(state.config.data, state.config.seed, original.metadata, flags.model,
                              state.model.metadata, flags.resume, run.file(kSearchFile));
  check_fit(*images.train, facts, original.spec.input, flags.model);
  nn::check_batches(original.spec, images.train->size(), tuning.batch, "--batch", flags.resume);
  run.make();
  if (model != nullptr) core::write_file_atomically(run.file(kTimeModel), model->to_json().dump() + "\n");

  LoaderSource train(images.train, facts.normalization,
                     training_loader(state.config.data, state.config.batch, state.config.seed));
  LoaderSource validation(images.validation, facts.normalization, judging_loader(state.config.batch));
  const bool by_clock = state.config.max_ms > 0 && flags.verify != "off" && !foreign;
  CompressRun work{flags, run, state, costs, by_clock, train, validation};
  if (!kept.empty() && !keeps_as_judged(work)) kept.clear();
  Chosen chosen = kept.empty() ? choose_structure(work) : keep_structure(work);
  nn::Model small =
      kept.empty() ? fine_tune(std::move(chosen.small), original, flags, tuning, run, images) : std::move(chosen.small);
  if (!kept.empty()) small.metadata = original.metadata;  // it has seen the same images
  nn::save_model(run.model(), small.spec, small.parameters, small.metadata);

  const double accuracy = judge(small, images.test, flags.fine_tune_batch).accuracy();
  const double accuracy_original = judge(original, images.test, flags.fine_tune_batch).accuracy();
  const AsTimed timed(flags.timing);
  const BeforeAfter pair{original, small, timed, model};
  const json compared = foreign ? before_after_json(pair, {}) : measure_before_after(pair);
  const compress::Keep& keep = std::ranges::find_if(chosen.candidates, &compress::Candidate::chosen)->keep;
  const Missed missed = missed_budgets(costs, keep, compared);
  const json result = compress_result_to_json(
      {flags, state, tuning, time_model ? &*time_model : nullptr, original, small, chosen.candidates, accuracy,
       accuracy_original, compared, by_clock, missed.text, images.train->size(), core::monotonic_seconds() - begin});
  core::write_file_atomically(run.file(kResultFile), result.dump(2) + "\n");
  print(flags.common,
        before_after_text(pair, compared) + fmt::format("test accuracy {:.2f}%, was {:.2f}%\nmodel: {}\n",
                                                        100 * accuracy, 100 * accuracy_original, run.model()));
  if (!kept.empty())
    print(flags.common, fmt::format("nothing to compress: the network meets what is asked for already: it has {}; the "
                                    "model is a copy of it\n",
                                    kept));
  write_result(flags.common, result);
  if (missed.text.empty()) return;
  core::fail_as(core::ErrorCode::kUnmet, "the network misses its budget: {}; {} holds it all the same; {}", missed.text,
                flags.out, what_to_do(by_clock, missed.measured_time, !kept.empty()));
}

}  // namespace

void add_compress(CLI::App& app) {
  CLI::App* command = app.add_subcommand("compress", "Drop a network's units until it meets a target, then fine-tune");
  const auto flags = std::make_shared<CompressFlags>();
  add_compress_options(*command, *flags);
  add_common(*command, flags->common, [flags] { compress_model(*flags); });
}

}  // namespace fdi::cli
