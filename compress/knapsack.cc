#include "compress/knapsack.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "compress/batch_stream.h"
#include "compress/shrink.h"
#include "compress/taylor.h"
#include "core/check.h"
#include "core/error.h"
#include "nn/check_batches.h"
#include "nn/fuse.h"
#include "nn/loss.h"
#include "nn/optimizer.h"

namespace fdi::compress {

Pruned unpruned(nn::Model model) {
  nn::UnitGroups groups = nn::unit_groups(model.spec);
  Keep keep = keep_all(groups);
  return {std::move(model), std::move(groups), std::move(keep), {}, {}};
}

void prune_under_budget(Pruned& pruned, const Cost& cost, double budget, int rounds, const TrainAndScore& train,
                        const std::function<void()>& after) {
  CHECK(rounds > 0);
  const double least = kRoom * budget;
  for (int round = static_cast<int>(std::ssize(pruned.rounds)) + 1; round < rounds; ++round) {
    const double before = pruned.rounds.empty() ? cost(nn::group_counts(pruned.groups)) : pruned.rounds.back().budget;
    const double now = least >= before ? least : before * std::pow(least / before, 1.0 / (rounds - round));
    const Keep keep = choose_under_budget(pruned.groups, train(pruned.model, pruned.groups, round), cost, now);
    pruned.rounds.push_back({now, cost(widths_of(keep)), widths_of(keep)});
    pruned.keep = kept_of(pruned.keep, keep);
    pruned.model = shrink(pruned.model, pruned.groups, keep);
    pruned.groups = nn::unit_groups(pruned.model.spec);
    if (after) after();
  }
  pruned.score = train(pruned.model, pruned.groups, rounds);
}

Keep kept_of(const Keep& left, const Keep& keep) {
  Keep out = keep;
  for (size_t g = 0; g < keep.units.size(); ++g)
    for (int& unit : out.units[g]) unit = left.units[g][static_cast<size_t>(unit)];
  return out;
}

TrainAndScore train_with_sgd(nn::BatchSource& source, const PruneTraining& training) {
  return [&source, training, batches = std::optional<BatchStream>()](nn::Model& model, const nn::UnitGroups& groups,
                                                                     int round) mutable {
    const nn::NetworkSpec fused = nn::fuse_relu(model.spec);
    nn::Network network(fused, model.parameters, training.batch, nn::Mode::kTraining);
    nn::Optimizer optimizer(nn::default_optimizer("sgd"), std::ssize(model.parameters.trainable()));
    const int classes = static_cast<int>(nn::output_shapes(fused).back().size());
    nn::SoftmaxLoss loss(training.batch, classes);
    std::vector<float> gradient(static_cast<size_t>(training.batch) * static_cast<size_t>(classes));
    TaylorImportance importance(model.spec, groups);
    const int64_t first = int64_t{round - 1} * training.steps;
    if (!batches) {
      nn::check_batches(fused, source.examples(), training.batch, "--search-batch");
      batches.emplace(source, first);
    }
    for (int step = 0; step < training.steps; ++step) {
      const nn::Batch batch = batches->take();
      nn::Pass pass;
      pass.batch = batch.size;
      pass.training = true;
      pass.seed = training.seed;
      pass.step = static_cast<uint64_t>(first + step);
      pass.lengths = batch.lengths;
      std::copy_n(batch.images, batch.size * fused.input.size(), network.input().data);
      const core::Tensor logits = network.forward(pass);
      const double now = loss.evaluate(logits, batch.labels, gradient.data()).loss;
      if (!std::isfinite(now))
        core::fail("round {}, step {}: the loss became {} at learning rate {:.3g}; take a lower one", round, step + 1,
                   now, training.lr);
      network.backward(pass, {gradient.data(), logits.shape});
      importance.add(model.parameters.trainable(), network.gradients());
      optimizer.step(model.parameters.trainable(), network.gradients(), training.lr, optimizer.momentum());
    }
    return importance.mean();
  };
}

}  // namespace fdi::compress
