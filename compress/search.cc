#include "compress/search.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "compress/shrink.h"
#include "core/error.h"
#include "nn/evaluate.h"

namespace fdi::compress {
namespace {

// Of the dual ascent: a limit that is missed by a tenth for a whole stage makes the original's cost count one more unit
// of loss, as much as a wrong answer.
constexpr double kDualRate = 10;

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

// What is drawn: who uses the masks of an iteration.
enum class Draw : uint64_t { kCritic, kCompressor };
uint64_t draw_number(int64_t iteration, Draw draw) {
  return 2 * static_cast<uint64_t>(iteration) + static_cast<uint64_t>(draw);
}

}  // namespace

SearchState::SearchState(nn::Model critic, const SearchConfig& search_config)
    : model(std::move(critic)),
      config(search_config),
      groups(removable(model.spec)),
      compressor(model.spec, groups, config.seed, config.start),
      critic_optimizer(critic_rule(config), static_cast<int64_t>(model.parameters.trainable().size())),
      compressor_optimizer(compressor_rule(), static_cast<int64_t>(compressor.parameters().trainable().size())) {}

// Batches one after the other, passes without end. The critic and the compressor take turns, so that the compressor's
// batch is always one that the critic has not just learnt.
struct Search::Stream {
  Stream(nn::BatchSource& from, int64_t taken) : source(from), epoch(static_cast<int>(taken / from.batches()) + 1) {
    source.start(epoch);
    nn::Batch skipped;
    for (int64_t i = taken % source.batches(); i > 0; --i) source.next(skipped);
  }
  nn::Batch take() {
    nn::Batch batch;
    if (source.next(batch)) return batch;
    source.start(++epoch);
    if (!source.next(batch)) core::fail("the training data hold no batch; give more images");
    return batch;
  }
  nn::BatchSource& source;
  int epoch;
};

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
  if (train.batches() < 1) core::fail("the training data hold no batch; give more images");
  Stream batches(train, 2 * state_.iteration);
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

void Search::iterate(Stream& batches, double& loss_sum) {
  const SearchConfig& config = state_.config;
  const auto step = static_cast<uint64_t>(state_.iteration);
  {
    // The critic's weights have not changed since the compressor last read them, but in a run's first step.
    const auto p = steps_ == 0 ? state_.compressor.forward(state_.model.parameters) : state_.compressor.forward_again();
    const auto q = softened(p, threshold(), config.beta);
    const nn::Batch batch = batches.take();
    const auto masks = draw_masks(q, batch.size, config.seed, draw_number(state_.iteration, Draw::kCritic));
    const double loss = critic_.forward(masks, batch.images, batch.labels, batch.lengths, true, config.seed, step).loss;
    check_finite(loss, "critic's");
    state_.critic_optimizer.step(state_.model.parameters.trainable(), critic_.backward(), config.critic_lr,
                                 state_.critic_optimizer.momentum());
    loss_sum += loss;
  }
  train_compressor(batches.take());
  ++state_.iteration;
  ++steps_;
}

// p is computed from the critic as it is now, masks are drawn from it and scored with it: never from an older one.
void Search::train_compressor(const nn::Batch& batch) {
  const SearchConfig& config = state_.config;
  const std::span<const float> p = state_.compressor.forward(state_.model.parameters);
  const auto q = softened(p, threshold(), config.beta);
  const auto masks = draw_masks(q, batch.size, config.seed, draw_number(state_.iteration, Draw::kCompressor));
  // Not as in training: the loss of an example must tell of its own structure only, not of the batch's or of dropout.
  const double loss = critic_.forward(masks, batch.images, batch.labels, batch.lengths, false, config.seed, 0).loss;
  check_finite(loss, "compressor's");
  std::vector<double> rewards(critic_.losses().begin(), critic_.losses().end());
  const double weight = lambda();
  if (weight > 0 && config.cost_as_reward)
    for (size_t b = 0; b < rewards.size(); ++b) {
      std::vector<int> widths;
      for (const nn::UnitGroup& g : state_.groups.groups) {
        const auto first = masks.begin() + static_cast<std::ptrdiff_t>(b * q.size()) + g.first;
        widths.push_back(std::max(1, static_cast<int>(std::count(first, first + g.count, 1.0F))));
      }
      rewards[b] += weight * costs_.objective.cost(widths);
    }
  std::vector<double> dq = score_gradient(masks, q, advantages(std::move(rewards)));
  if (weight > 0 && !config.cost_as_reward) {
    const std::vector<double> cost = cost_gradient(q);
    for (size_t u = 0; u < dq.size(); ++u) dq[u] += cost[u];
  }
  std::vector<float> dp;
  for (size_t u = 0; u < dq.size(); ++u)
    dp.push_back(static_cast<float>(dq[u] * (p[u] < threshold() ? config.beta : 1)));
  state_.compressor_optimizer.step(state_.compressor.parameters().trainable(), state_.compressor.backward(dp),
                                   config.compressor_lr, state_.compressor_optimizer.momentum());
  if (config.find_lambda) ascend(q);
}

double Search::lambda() const {
  return state_.config.find_lambda ? state_.dual / costs_.objective.cost(whole_) : state_.config.lambda;
}

// See the top of search.h.
void Search::ascend(std::span<const float> q) {
  const SearchConfig& config = state_.config;
  const std::vector<int> widths = rounded_widths(state_.groups, expected_widths(q));
  const double half = 0.5 * static_cast<double>((last_stage() + 1) * config.stage_steps);
  const double way = std::min(1.0, static_cast<double>(state_.iteration + 1) / half);
  double missed = -1;
  for (const Limit& limit : costs_.limits) {
    const double whole = limit.what.cost(whole_);
    const double allowed = 1 - way * (1 - std::min(1.0, limit.most / whole));
    missed = std::max(missed, limit.what.cost(widths) / whole - allowed);
  }
  state_.dual = std::max(0.0, state_.dual + kDualRate / config.stage_steps * missed);
}

// The baseline is that of the batches before, so that it does not depend on the structures it is subtracted from; the
// first batch has none and takes its own.
std::vector<double> Search::advantages(std::vector<double> rewards) {
  const auto n = static_cast<double>(rewards.size());
  double mean = 0, square = 0;
  for (const double r : rewards) mean += r / n;
  for (const double r : rewards) square += (r - mean) * (r - mean) / n;
  const double deviation = std::sqrt(square);
  if (state_.iteration == 0) {
    state_.mean = mean;
    state_.deviation = deviation;
  }
  for (double& r : rewards) r = (r - state_.mean) / std::max(1.0, state_.deviation);
  const double keep = state_.config.average;
  state_.mean = keep * state_.mean + (1 - keep) * mean;
  state_.deviation = keep * state_.deviation + (1 - keep) * deviation;
  return rewards;
}

// Where q counts as so much of a unit.
std::vector<double> Search::expected_widths(std::span<const float> q) const {
  std::vector<double> expected;
  expected.reserve(state_.groups.groups.size());
  for (const nn::UnitGroup& g : state_.groups.groups) {
    const auto own = q.subspan(static_cast<size_t>(g.first), static_cast<size_t>(g.count));
    expected.push_back(std::accumulate(own.begin(), own.end(), 0.0));
  }
  return expected;
}

// By unit: lambda * d cost / d q.
std::vector<double> Search::cost_gradient(std::span<const float> q) const {
  const std::vector<double> slope = cost_slope(costs_.objective, state_.groups, expected_widths(q));
  std::vector<double> gradient(q.size());
  for (size_t g = 0; g < slope.size(); ++g)
    std::fill_n(gradient.begin() + state_.groups.groups[g].first, state_.groups.groups[g].count, lambda() * slope[g]);
  return gradient;
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
