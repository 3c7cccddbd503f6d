// The epoch loop, see trainer.h.
#include "nn/trainer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/check.h"
#include "core/error.h"
#include "nn/check_batches.h"
#include "nn/checkpoint.h"
#include "nn/evaluate.h"
#include "nn/fuse.h"
#include "nn/loss.h"

namespace fdi::nn {
namespace {

int classes_of(const NetworkSpec& spec) { return static_cast<int>(output_shapes(spec).back().size()); }

// The live line; everything in it is of the current epoch but the time left, which is of the whole run.
std::string progress_line(const EpochRecord& r, int epochs, double part, double seconds_left) {
  return fmt::format("epoch {}/{} {:3.0f}%  loss {:.4f}  accuracy {:.2f}%  {:.0f} images/s  {} left", r.epoch, epochs,
                     100 * part, r.loss, 100 * r.accuracy, r.images_per_s, core::format_duration(seconds_left));
}

std::string epoch_line(const EpochRecord& r, int epochs, bool best, double seconds_left) {
  std::string line =
      fmt::format("epoch {}/{}  loss {:.4f}  accuracy {:.2f}%", r.epoch, epochs, r.loss, 100 * r.accuracy);
  if (r.validation_accuracy)
    line += fmt::format("  validation loss {:.4f} accuracy {:.2f}%{}", r.validation_loss, 100 * *r.validation_accuracy,
                        best ? " (best)" : "");
  return line + fmt::format("  {:.0f} images/s  {} left", r.images_per_s, core::format_duration(seconds_left));
}

}  // namespace

TrainState::TrainState(const NetworkSpec& network, const TrainConfig& train_config)
    : spec(network),
      config(train_config),
      parameters(network),
      optimizer(train_config.optimizer, static_cast<int64_t>(parameters.trainable().size())) {
  parameters.initialize(config.seed);
}

bool TrainState::finished() const {
  const int done = static_cast<int>(history.size());
  return done >= config.epochs || (config.patience > 0 && best_epoch > 0 && done - best_epoch >= config.patience);
}

Trainer::Trainer(TrainState& state, const TrainOptions& options)
    : state_(state),
      options_(options),
      fused_(fuse_relu(state.spec)),
      network_(std::make_unique<Network>(fused_, state.parameters, state.config.batch, Mode::kTraining)) {
  const TrainConfig& config = state.config;
  if (!(config.distill.weight > 0)) return;
  CHECK(options.teacher != nullptr);
  teacher_ = std::make_unique<Teacher>(config.distill, *options.teacher, config.batch, output_shapes(fused_).back());
}

Trainer::~Trainer() = default;

void Trainer::run(BatchSource& train, BatchSource* validation) {
  if (!state_.finished())
    check_batches(fused_, train.examples(), state_.config.batch, "--batch", !state_.history.empty());
  // A checkpoint of the untrained network comes first: it finds out that the disk takes one before time is spent.
  if (!options_.checkpoint.empty() && state_.history.empty()) save_checkpoint(options_.checkpoint, state_);
  const int epochs = state_.config.epochs;
  while (!state_.finished()) {
    const double begin = core::monotonic_seconds();
    EpochRecord record = run_epoch(train);
    if (validation != nullptr) judge(record, *validation);
    state_.history.push_back(record);
    if (!options_.checkpoint.empty()) save_checkpoint(options_.checkpoint, state_);
    const double seconds = core::monotonic_seconds() - begin;
    around_epoch_ = seconds - record.seconds;
    if (options_.progress != nullptr)
      options_.progress->finish(
          epoch_line(record, epochs, state_.best_epoch == record.epoch, seconds * (epochs - record.epoch)));
  }
  if (!state_.best.empty()) std::copy(state_.best.begin(), state_.best.end(), state_.parameters.all().begin());
}

EpochRecord Trainer::run_epoch(BatchSource& train) {
  const TrainConfig& config = state_.config;
  SoftmaxLoss loss(config.batch, classes_of(fused_));
  std::vector<float> gradient(static_cast<size_t>(config.batch) * static_cast<size_t>(classes_of(fused_)));
  EpochRecord record;
  record.epoch = static_cast<int>(state_.history.size()) + 1;
  double loss_sum = 0;
  int64_t examples = 0, correct = 0;
  const double begin = core::monotonic_seconds();
  train.start(record.epoch);
  for (Batch batch; train.next(batch);) {
    const int64_t step = state_.optimizer.steps();
    const Rates rates =
        rates_at(config.schedule, config.lr, state_.optimizer.momentum(), step, train.batches(), config.epochs);
    Pass pass;
    pass.batch = batch.size;
    pass.training = true;
    pass.seed = config.seed;
    pass.step = static_cast<uint64_t>(step);
    pass.lengths = batch.lengths;
    std::copy_n(batch.images, batch.size * fused_.input.size(), network_->input().data);
    const Tensor logits = network_->forward(pass);
    LossResult result = loss.evaluate(logits, batch.labels, gradient.data());
    if (teacher_) result.loss = teacher_->mix(batch, {logits.data, logits.shape}, result.loss, gradient.data());
    if (!std::isfinite(result.loss))
      core::fail("epoch {}, step {}: the loss became {} at learning rate {:.3g}; {}lower --lr", record.epoch, step + 1,
                 std::abs(result.loss), rates.lr,
                 options_.checkpoint.empty()
                     ? ""
                     : fmt::format("{} still holds epoch {}; ", options_.checkpoint, record.epoch - 1));
    network_->backward(pass, {gradient.data(), logits.shape});
    state_.optimizer.step(state_.parameters.trainable(), network_->gradients(), rates.lr, rates.momentum);
    if (options_.on_step) options_.on_step(step, result.loss);

    loss_sum += result.loss * batch.size;
    correct += result.correct;
    examples += batch.size;
    const auto done = static_cast<double>(examples), all = static_cast<double>(train.examples());
    record.lr = rates.lr;
    record.loss = loss_sum / done;
    record.accuracy = static_cast<double>(correct) / done;
    record.seconds = core::monotonic_seconds() - begin;
    record.images_per_s = done / record.seconds;
    if (options_.progress != nullptr) {
      const int epochs_left = config.epochs - record.epoch;
      const double left = (all - done + all * epochs_left) / record.images_per_s + around_epoch_ * (epochs_left + 1);
      options_.progress->update(progress_line(record, config.epochs, done / all, left));
    }
  }
  return record;
}

void Trainer::judge(EpochRecord& record, BatchSource& validation) {
  const Evaluation e = evaluate(state_.spec, state_.parameters, state_.config.batch, validation, options_.progress);
  record.validation_loss = e.loss;
  record.validation_accuracy = e.accuracy();
  const bool better = state_.best_epoch == 0 ||
                      e.accuracy() > *state_.history[static_cast<size_t>(state_.best_epoch) - 1].validation_accuracy;
  if (!better) return;
  state_.best_epoch = record.epoch;
  const auto all = state_.parameters.all();
  state_.best.assign(all.begin(), all.end());
}

}  // namespace fdi::nn
