#include "compress/search.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "compress/shrink.h"
#include "core/error.h"
#include "nn/evaluate.h"

namespace fdi::compress {
namespace {

constexpr double kSmallest = 1e-6;  // probabilities in a logarithm stay this far from 0 and 1

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

int64_t floats_of(const nn::NetworkSpec& spec) {
  int64_t floats = 0;
  for (const auto& e : nn::Parameters::list(spec)) floats += e.spec.trainable ? e.spec.shape.size() : 0;
  return floats;
}

nn::UnitGroups removable(const nn::NetworkSpec& spec) {
  nn::UnitGroups groups = nn::unit_groups(spec);
  nn::require_groups(spec, groups);
  return groups;
}

// What is drawn: who uses the masks of an iteration.
enum class Draw : uint64_t { kCritic, kCompressor };
uint64_t draw_number(int64_t iteration, Draw draw) {
  return 2 * static_cast<uint64_t>(iteration) + static_cast<uint64_t>(draw);
}

}  // namespace

std::vector<float> softened(std::span<const float> p, double threshold, double beta) {
  std::vector<float> q(p.begin(), p.end());
  for (float& v : q)
    if (v < threshold) v *= static_cast<float>(beta);
  return q;
}

Keep keep_at(const nn::UnitGroups& groups, std::span<const float> p, double threshold) {
  Keep keep;
  for (const nn::UnitGroup& group : groups.groups) {
    const auto own = p.subspan(static_cast<size_t>(group.first), static_cast<size_t>(group.count));
    std::vector<int> units;
    for (int u = 0; u < group.count; ++u)
      if (own[static_cast<size_t>(u)] >= threshold) units.push_back(u);
    if (units.empty()) units.push_back(static_cast<int>(std::max_element(own.begin(), own.end()) - own.begin()));
    keep.units.push_back(std::move(units));
  }
  return keep;
}

// log P = z log q + (1 - z) log(1 - q)
std::vector<double> score_gradient(std::span<const float> masks, std::span<const float> q,
                                   std::span<const double> advantage) {
  std::vector<double> gradient(q.size());
  const double scale = 1.0 / static_cast<double>(advantage.size());
  for (size_t b = 0; b < advantage.size(); ++b)
    for (size_t u = 0; u < q.size(); ++u) {
      const double at = std::clamp(double{q[u]}, kSmallest, 1 - kSmallest);
      gradient[u] += scale * advantage[b] * (masks[b * q.size() + u] > 0 ? 1 / at : -1 / (1 - at));
    }
  return gradient;
}

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

Search::Search(SearchState& state, const Objective& objective, const SearchOptions& options)
    : state_(state),
      objective_(objective),
      options_(options),
      critic_(state.model.spec, state.model.parameters, state.config.batch) {}

double Search::threshold_of(int64_t stage) const {
  const SearchConfig& c = state_.config;
  return std::min(c.threshold_start + static_cast<double>(stage) * c.threshold_step, c.threshold_end);
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
  const auto last =
      static_cast<int64_t>(std::ceil((config.threshold_end - config.threshold_start) / config.threshold_step - 1e-6));
  Stream batches(train, 2 * state_.iteration);
  if (state_.history.empty() && !options_.checkpoint.empty()) save_search(options_.checkpoint, state_);
  const auto done = [&] {
    if (state_.history.empty()) return false;
    const StageRecord& now = state_.history.back();
    const bool met_size = config.target_size > 0 && now.size <= config.target_size;
    const bool met_cost = config.target_cost > 0 && now.cost <= config.target_cost;
    return met_size || met_cost || state_.iteration / config.stage_steps > last;
  };
  while (!done()) {
    double loss_sum = 0;
    const double begin = core::monotonic_seconds();
    for (int i = 0; i < config.stage_steps; ++i) {
      iterate(batches, loss_sum);
      if (options_.progress != nullptr)
        options_.progress->update(fmt::format("threshold {:.3f}  {}/{}  loss {:.4f}  {:.0f} images/s", threshold(),
                                              i + 1, config.stage_steps, loss_sum / (i + 1),
                                              2.0 * config.batch * (i + 1) / (core::monotonic_seconds() - begin)));
    }
    const StageRecord record = judge(loss_sum / config.stage_steps, validation);
    state_.history.push_back(record);
    if (!options_.checkpoint.empty()) save_search(options_.checkpoint, state_);
    if (options_.progress != nullptr) {
      std::string widths;
      for (const int width : record.widths) widths += fmt::format("{}{}", widths.empty() ? "" : " ", width);
      options_.progress->finish(fmt::format(
          "threshold {:.3f}  units {}  parameters {:.1f}%{}{}  loss {:.4f}", record.threshold, widths,
          100 * record.size, record.accuracy < 0 ? "" : fmt::format("  accuracy {:.2f}%", 100 * record.accuracy),
          objective_.unit.empty() ? "" : fmt::format("  {:.3f} {}", record.cost, objective_.unit), record.loss));
    }
  }
}

void Search::iterate(Stream& batches, double& loss_sum) {
  const SearchConfig& config = state_.config;
  const auto step = static_cast<uint64_t>(state_.iteration);
  {
    const auto q = softened(state_.compressor.forward(state_.model.parameters), threshold(), config.beta);
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
  const bool steered = config.lambda > 0;
  if (steered && config.cost_as_reward)
    for (size_t b = 0; b < rewards.size(); ++b) {
      std::vector<int> widths;
      for (const nn::UnitGroup& g : state_.groups.groups) {
        const auto first = masks.begin() + static_cast<std::ptrdiff_t>(b * q.size()) + g.first;
        widths.push_back(std::max(1, static_cast<int>(std::count(first, first + g.count, 1.0F))));
      }
      rewards[b] += config.lambda * objective_.cost(widths);
    }
  std::vector<double> dq = score_gradient(masks, q, advantages(std::move(rewards)));
  if (steered && !config.cost_as_reward) {
    const std::vector<double> cost = cost_gradient(q);
    for (size_t u = 0; u < dq.size(); ++u) dq[u] += cost[u];
  }
  std::vector<float> dp;
  for (size_t u = 0; u < dq.size(); ++u)
    dp.push_back(static_cast<float>(dq[u] * (p[u] < threshold() ? config.beta : 1)));
  state_.compressor_optimizer.step(state_.compressor.parameters().trainable(), state_.compressor.backward(dp),
                                   config.compressor_lr, state_.compressor_optimizer.momentum());
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

// By unit: lambda * d cost / d q, where q counts as so much of a unit.
std::vector<double> Search::cost_gradient(std::span<const float> q) const {
  std::vector<double> expected;
  for (const nn::UnitGroup& g : state_.groups.groups) {
    expected.push_back(0);
    for (int u = g.first; u < g.first + g.count; ++u) expected.back() += q[static_cast<size_t>(u)];
  }
  const std::vector<double> slope = cost_slope(objective_, state_.groups, expected);
  std::vector<double> gradient(q.size());
  for (size_t g = 0; g < slope.size(); ++g)
    std::fill_n(gradient.begin() + state_.groups.groups[g].first, state_.groups.groups[g].count,
                state_.config.lambda * slope[g]);
  return gradient;
}

double Search::size_of(const Keep& keep) const {
  const nn::NetworkSpec small = nn::with_widths(state_.model.spec, state_.groups, widths_of(keep));
  return static_cast<double>(floats_of(small)) / static_cast<double>(floats_of(state_.model.spec));
}

StageRecord Search::judge(double loss, nn::BatchSource* validation) {
  const std::span<const float> p = state_.compressor.forward(state_.model.parameters);
  StageRecord record;
  record.iteration = state_.iteration;
  record.threshold =
      threshold_of(state_.iteration / state_.config.stage_steps - 1);  // of the stage that has just ended
  const Keep keep = keep_at(state_.groups, p, record.threshold);
  record.widths = widths_of(keep);
  record.size = size_of(keep);
  record.cost = objective_.cost(record.widths);
  record.loss = loss;
  record.accuracy = -1;
  if (validation != nullptr) {  // evaluation multiplies by the probabilities
    nn::Parameters soft(state_.model.spec);
    std::copy(state_.model.parameters.all().begin(), state_.model.parameters.all().end(), soft.all().begin());
    nn::scale_units(state_.groups, softened(p, record.threshold, state_.config.beta), soft);
    record.accuracy = nn::evaluate(state_.model.spec, soft, state_.config.batch, *validation).accuracy();
  }
  return record;
}

bool Search::met(const Keep& keep) const {
  const SearchConfig& config = state_.config;
  return (config.target_size > 0 && size_of(keep) <= config.target_size) ||
         (config.target_cost > 0 && objective_.cost(widths_of(keep)) <= config.target_cost);
}

Keep Search::keep() {
  const std::span<const float> p = state_.compressor.forward(state_.model.parameters);
  const double reached = state_.history.empty() ? 0 : state_.history.back().threshold;
  Keep last = keep_at(state_.groups, p, reached);
  if (!met(last)) return last;
  // Units leave one by one as the threshold rises over their probabilities.
  std::vector<float> thresholds;
  for (const float v : p)
    if (v <= reached) thresholds.push_back(std::nextafter(v, 2.0F));
  std::sort(thresholds.begin(), thresholds.end());
  const auto first = std::partition_point(thresholds.begin(), thresholds.end(),
                                          [&](float t) { return !met(keep_at(state_.groups, p, t)); });
  return first == thresholds.end() ? last : keep_at(state_.groups, p, *first);
}

nn::Model Search::shrunk(const Keep& keep) {
  const std::span<const float> p = state_.compressor.forward(state_.model.parameters);
  nn::Model soft{state_.model.spec, nn::Parameters(state_.model.spec), state_.model.metadata};
  std::copy(state_.model.parameters.all().begin(), state_.model.parameters.all().end(), soft.parameters.all().begin());
  nn::scale_units(state_.groups, p, soft.parameters);
  return shrink(soft, state_.groups, keep);
}

}  // namespace fdi::compress
