#include "compress/search.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "compress/shrink.h"
#include "core/error.h"
#include "nn/check_batches.h"
#include "nn/evaluate.h"

namespace fdi::compress {
namespace {

nn::OptimizerConfig critic_rule(const SearchConfig& config) {
  nn::OptimizerConfig adam = nn::default_optimizer("adam");
  adam.weight_decay = config.weight_decay;
  adam.beta1 = 0.5;
  adam.beta2 = 0.9;
  return adam;
}

nn::OptimizerConfig compressor_rule() {
  nn::OptimizerConfig rmsprop = nn::default_optimizer("rmsprop");
  rmsprop.alpha = 0.9;  // TensorFlow's, for which the learning rate was chosen
  return rmsprop;
}

nn::UnitGroups removable(const nn::NetworkSpec& spec) {
  nn::UnitGroups groups = nn::unit_groups(spec);
  nn::require_groups(spec, groups);
  return groups;
}

std::string figures(const StageRecord& r) {
  std::string widths;
  for (const int width : r.widths) widths += fmt::format("{}{}", widths.empty() ? "" : " ", width);
  return fmt::format("units {}{}{}", widths, r.accuracy < 0 ? "" : fmt::format("  accuracy {:.2f}%", 100 * r.accuracy),
                     r.predicted_ms < 0 ? "" : fmt::format("  predicted {:.3f} ms", r.predicted_ms));
}

std::string stage_line(const StageRecord& r, const Objective& objective, double steps_per_s) {
  return fmt::format("threshold {:.3f}  {}  parameters {:.1f}%{}{}  loss {:.4f}  {:.1f} steps/s", r.threshold,
                     figures(r), 100 * r.size,
                     objective.name == "flops" ? fmt::format("  {:.3f} {}", r.cost, objective.unit) : "",
                     r.lambda > 0 ? fmt::format("  lambda {:.3g}", r.lambda) : "", r.loss, steps_per_s);
}

}  // namespace

SearchState::SearchState(nn::Model critic, const SearchConfig& search_config)
    : model(std::move(critic)),
      config(search_config),
      groups(removable(model.spec)),
      compressor(model.spec, groups, config.seed, config.start),
      critic_optimizer(critic_rule(config), static_cast<int64_t>(model.parameters.trainable().size())),
      compressor_optimizer(compressor_rule(), static_cast<int64_t>(compressor.parameters().trainable().size())) {}

Search::Search(SearchState& state, const Costs& costs, const SearchOptions& options)
    : state_(state),
      costs_(costs),
      options_(options),
      share_(largest_share(costs.limits)),
      size_(size_objective(state.model.spec, state.groups).cost),
      whole_(nn::group_counts(state.groups)),
      critic_(state.model.spec, state.model.parameters, state.config.batch) {}

double Search::threshold_of(int64_t stage) const {
  const SearchConfig& c = state_.config;
  return std::min(c.threshold_start + static_cast<double>(stage) * c.threshold_step, c.threshold_end);
}

int64_t Search::last_stage() const {
  const SearchConfig& c = state_.config;
  return static_cast<int64_t>(std::ceil((c.threshold_end - c.threshold_start) / c.threshold_step - 1e-6));
}

void Search::check_finite(double loss, const char* whose) const {
  if (std::isfinite(loss)) return;
  core::fail("iteration {}: the {} loss became {}; {}lower the learning rate", state_.iteration + 1, whose,
             std::abs(loss),
             options_.checkpoint.empty() || state_.history.empty()
                 ? ""
                 : fmt::format("{} still holds iteration {}; ", options_.checkpoint, state_.history.back().iteration));
}

void Search::run(nn::BatchSource& train, nn::BatchSource* validation) {
  const SearchConfig& config = state_.config;
  nn::check_batches(state_.model.spec, train.examples(), config.batch, "--search-batch");
  // The critic and the compressor take turns, so that the compressor's batch is always one that the critic has not just
  // learnt.
  BatchStream batches(train, state_.iteration * (config.by_slopes ? 1 : 2));
  if (state_.history.empty() && !options_.checkpoint.empty()) save_search(options_.checkpoint, state_);
  const auto done = [&] {
    if (state_.history.empty()) return false;
    const bool met = !costs_.limits.empty() && share_(state_.history.back().widths) <= 1;
    return met || state_.iteration / config.stage_steps > last_stage();
  };
  while (!done()) {
    double loss_sum = 0;
    const double begin = core::monotonic_seconds();
    for (int i = 0; i < config.stage_steps; ++i) {
      iterate(batches, loss_sum);
      if (options_.progress != nullptr)
        options_.progress->update(live_line(loss_sum / (i + 1), (i + 1) / (core::monotonic_seconds() - begin)));
    }
    const double steps_per_s = config.stage_steps / (core::monotonic_seconds() - begin);
    const StageRecord record = judge(loss_sum / config.stage_steps, validation);
    state_.history.push_back(record);
    if (!options_.checkpoint.empty()) save_search(options_.checkpoint, state_);
    if (options_.progress != nullptr) options_.progress->finish(stage_line(record, costs_.objective, steps_per_s));
  }
}

// What is known of the current stage, and of the last one what is only found out at its end.
std::string Search::live_line(double loss, double steps_per_s) const {
  const int64_t done = state_.iteration % state_.config.stage_steps;
  std::string line =
      fmt::format("threshold {:.3f}  {}/{}  loss {:.4f}  {:.1f} steps/s", threshold(),
                  done == 0 ? state_.config.stage_steps : done, state_.config.stage_steps, loss, steps_per_s);
  if (!state_.history.empty()) line += "  was: " + figures(state_.history.back());
  return line;
}

void Search::iterate(BatchStream& batches, double& loss_sum) {
  if (state_.config.by_slopes) {
    loss_sum += train_both(batches.take());
  } else {
    loss_sum += train_critic(batches.take());
    train_compressor(batches.take());
  }
  ++state_.iteration;
  ++steps_;
}

StageRecord Search::judge(double loss, nn::BatchSource* validation) {
  const std::span<const float> p = state_.compressor.forward(state_.model.parameters);
  StageRecord record;
  record.iteration = state_.iteration;
  record.threshold =
      threshold_of(state_.iteration / state_.config.stage_steps - 1);  // of the stage that has just ended
  const Keep keep = keep_at(state_.groups, p, record.threshold);
  record.widths = widths_of(keep);
  record.size = size_(record.widths);
  record.cost = costs_.objective.cost(record.widths);
  record.predicted_ms = costs_.predicted_ms ? costs_.predicted_ms(record.widths) : -1;
  record.lambda = lambda();
  record.loss = loss;
  record.accuracy = -1;
  if (validation != nullptr) {  // evaluation multiplies by the probabilities
    nn::Parameters soft = copy_of(state_.model);
    nn::scale_units(state_.groups, softened(p, record.threshold, state_.config.beta), soft);
    record.accuracy = nn::evaluate(state_.model.spec, soft, state_.config.batch, *validation).accuracy();
  }
  return record;
}

std::vector<float> Search::probabilities() {
  const std::span<const float> p = state_.compressor.forward(state_.model.parameters);
  return {p.begin(), p.end()};
}

nn::Model Search::shrunk(const Keep& keep) {
  const std::span<const float> p = state_.compressor.forward(state_.model.parameters);
  nn::Model soft{state_.model.spec, copy_of(state_.model), state_.model.metadata};
  nn::scale_units(state_.groups, p, soft.parameters);
  return shrink(soft, state_.groups, keep);
}

}  // namespace fdi::compress
