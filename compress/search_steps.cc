// The search's steps: how the critic and the compressor learn from a batch, and how lambda is found.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "compress/search.h"

namespace fdi::compress {
namespace {

// Of the dual ascent: a limit that is missed by a tenth for a whole stage makes the original's cost count one more unit
// of loss, as much as a wrong answer.
constexpr double kDualRate = 10;

// What is drawn: who uses the masks of an iteration.
enum class Draw : uint64_t { kCritic, kCompressor };
uint64_t draw_number(int64_t iteration, Draw draw) {
  return 2 * static_cast<uint64_t>(iteration) + static_cast<uint64_t>(draw);
}

}  // namespace

// By structures drawn from p.
double Search::train_critic(const nn::Batch& batch) {
  // The critic's weights have not changed since the compressor last read them, but in a run's first step.
  const auto p = steps_ == 0 ? state_.compressor.forward(state_.model.parameters) : state_.compressor.forward_again();
  const auto masks = draw_masks(softened(p, threshold(), state_.config.beta), batch.size, state_.config.seed,
                                draw_number(state_.iteration, Draw::kCritic));
  const double loss = critic_loss(batch, masks);
  step_critic(critic_.backward());
  return loss;
}

double Search::critic_loss(const nn::Batch& batch, std::span<const float> masks) {
  const double loss = critic_
                          .forward(masks, batch.images, batch.labels, batch.lengths, true, state_.config.seed,
                                   static_cast<uint64_t>(state_.iteration))
                          .loss;
  check_finite(loss, "critic's");
  return loss;
}

void Search::step_critic(std::span<const float> gradient) {
  state_.critic_optimizer.step(state_.model.parameters.trainable(), gradient, state_.config.critic_lr,
                               state_.critic_optimizer.momentum());
}

// One batch, one set of masks, one backward pass: its slopes at the masks are the compressor's, those at the weights
// the critic's. Neither has learnt the batch yet.
double Search::train_both(const nn::Batch& batch) {
  const SearchConfig& config = state_.config;
  const std::span<const float> p = state_.compressor.forward(state_.model.parameters);
  const auto q = softened(p, threshold(), config.beta);
  const auto masks = draw_masks(q, batch.size, config.seed, draw_number(state_.iteration, Draw::kCritic));
  const double loss = critic_loss(batch, masks);
  const std::span<const float> gradient = critic_.backward(true);
  std::vector<double> dq = slope_gradient(masks, critic_.mask_slopes(), q.size());
  if (critic_.any_recurrent()) {
    const std::vector<double> scores = score_gradient(masks, q, advantages(rewards_of(masks)));
    for (size_t u = 0; u < dq.size(); ++u)
      if (critic_.recurrent(static_cast<int>(u))) dq[u] = scores[u];
  }
  step_compressor(p, q, std::move(dq));
  step_critic(gradient);
  return loss;
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
  step_compressor(p, q, score_gradient(masks, q, advantages(rewards_of(masks))));
}

// By example: its loss, and where asked for, what its structure costs.
std::vector<double> Search::rewards_of(std::span<const float> masks) const {
  std::vector<double> rewards(critic_.losses().begin(), critic_.losses().end());
  const double weight = lambda();
  if (!(weight > 0) || !state_.config.cost_as_reward) return rewards;
  for (size_t b = 0; b < rewards.size(); ++b) {
    std::vector<int> widths;
    widths.reserve(whole_.size());
    for (const nn::UnitGroup& g : state_.groups.groups) {
      const auto first = masks.begin() + static_cast<std::ptrdiff_t>(b * masks.size() / rewards.size()) + g.first;
      widths.push_back(std::max(1, static_cast<int>(std::count(first, first + g.count, 1.0F))));
    }
    rewards[b] += weight * costs_.objective.cost(widths);
  }
  return rewards;
}

// By the slope `dq` of the loss, and of the cost unless it is part of the rewards.
void Search::step_compressor(std::span<const float> p, std::span<const float> q, std::vector<double> dq) {
  const SearchConfig& config = state_.config;
  if (lambda() > 0 && !config.cost_as_reward) {
    const std::vector<double> cost = cost_gradient(q);
    for (size_t u = 0; u < dq.size(); ++u) dq[u] += cost[u];
  }
  std::vector<float> dp;
  dp.reserve(dq.size());
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

}  // namespace fdi::compress
