#include "compress/knapsack.h"

#include <algorithm>
#include <cmath>

#include "compress/shrink.h"
#include "compress/taylor.h"
#include "core/check.h"
#include "core/error.h"
#include "nn/fuse.h"
#include "nn/loss.h"
#include "nn/optimizer.h"

namespace fdi::compress {

Pruned prune_under_budget(nn::Model model, const Cost& cost, double budget, int rounds, const TrainAndScore& train) {
  CHECK(rounds > 0);
  nn::UnitGroups groups = nn::unit_groups(model.spec);
  const double whole = cost(nn::group_counts(groups)), least = kRoom * budget;
  Pruned out{std::move(model), std::move(groups), {}, {}, {}};
  out.keep = keep_all(out.groups);
  for (int round = 1; round < rounds; ++round) {
    const double now = least >= whole ? least : whole * std::pow(least / whole, double(round) / (rounds - 1));
    const Keep keep = choose_under_budget(out.groups, train(out.model, out.groups, round), cost, now);
    out.rounds.push_back({now, cost(widths_of(keep)), widths_of(keep)});
    out.keep = kept_of(out.keep, keep);
    out.model = shrink(out.model, out.groups, keep);
    out.groups = nn::unit_groups(out.model.spec);
  }
  out.score = train(out.model, out.groups, rounds);
  return out;
}

Keep kept_of(const Keep& left, const Keep& keep) {
  Keep out = keep;
  for (size_t g = 0; g < keep.units.size(); ++g)
    for (int& unit : out.units[g]) unit = left.units[g][static_cast<size_t>(unit)];
  return out;
}

TrainAndScore train_with_sgd(nn::BatchSource& source, const PruneTraining& training) {
  return [&source, training, epoch = 0](nn::Model& model, const nn::UnitGroups& groups, int round) mutable {
    const nn::NetworkSpec fused = nn::fuse_relu(model.spec);
    nn::Network network(fused, model.parameters, training.batch, nn::Mode::kTraining);
    nn::Optimizer optimizer(nn::default_optimizer("sgd"), std::ssize(model.parameters.trainable()));
    const int classes = static_cast<int>(nn::output_shapes(fused).back().size());
    nn::SoftmaxLoss loss(training.batch, classes);
    std::vector<float> gradient(static_cast<size_t>(training.batch) * static_cast<size_t>(classes));
    TaylorImportance importance(model.spec, groups);
    if (epoch == 0) source.start(++epoch);
    for (int step = 0; step < training.steps; ++step) {
      nn::Batch batch;
      if (!source.next(batch)) {
        source.start(++epoch);
        if (!source.next(batch)) core::fail("there are no images to train on");
      }
      nn::Pass pass;
      pass.batch = batch.size;
      pass.training = true;
      pass.seed = training.seed;
      pass.step = static_cast<uint64_t>(round) * static_cast<uint64_t>(training.steps) + static_cast<uint64_t>(step);
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
