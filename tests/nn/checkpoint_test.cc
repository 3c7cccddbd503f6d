// Checkpoints: a run in pieces ends in the very bits of the run in one go; a failed write harms nothing; a changed
// request is refused by name.
#include "nn/checkpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>

#include <cmath>
#include <cstring>
#include <filesystem>

#include "core/error.h"
#include "core/file.h"
#include "nn/model_file.h"
#include "tests/nn/array_source.h"
#include "tests/temp_folder.h"

namespace fdi::nn {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
constexpr int kClasses = 10, kBatch = 32, kEpochs = 4;

class Checkpoint : public ::testing::Test, public TempFolder {
 protected:
  std::string path(const char* name = "checkpoint.safetensors") const { return (dir_ / name).string(); }

  static TrainConfig config(const std::string& optimizer = "sgd") {
    TrainConfig c;
    c.epochs = kEpochs;
    c.batch = kBatch;
    c.optimizer = default_optimizer(optimizer);
    c.lr = optimizer == "sgd" ? 0.02 : 1e-3;
    c.data = {{"name", "test"}};
    return c;
  }
  // Trains until `until` epochs are done, as a kill after that epoch would leave it, or to the end.
  void train(TrainState& state, bool with_validation, int until = kEpochs, const Model* teacher = nullptr) const {
    ArraySource source(100, state.spec.input, kClasses, kBatch, true);
    ArraySource validation(60, state.spec.input, kClasses, kBatch, false, 4);
    struct Killed {};
    TrainOptions options;
    options.checkpoint = path();
    options.teacher = teacher;
    options.on_step = [&](int64_t step, double) {
      if (step == until * source.batches()) throw Killed();  // in the middle of the next epoch
    };
    try {
      Trainer(state, options).run(source, with_validation ? &validation : nullptr);
    } catch (const Killed&) {
    }
  }
  static std::vector<float> weights(TrainState& state) {
    const auto all = state.parameters.all();
    return {all.begin(), all.end()};
  }
};

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

TEST_F(Checkpoint, ResumedRunEndsInTheSameBits) {
  for (const char* optimizer : {"sgd", "adam", "rmsprop"}) {
    for (const bool with_validation : {false, true}) {
      if (with_validation && optimizer != std::string("sgd")) continue;
      SCOPED_TRACE(std::string(optimizer) + (with_validation ? " with validation" : ""));
      TrainState straight(small_network(), config(optimizer));
      train(straight, with_validation);
      for (const int killed_after : {1, 3}) {
        TrainState first(small_network(), config(optimizer));
        train(first, with_validation, killed_after);
        TrainState resumed = load_checkpoint(path());
        ASSERT_EQ(static_cast<int>(resumed.history.size()), killed_after);
        train(resumed, with_validation);
        EXPECT_TRUE(same_bits(weights(straight), weights(resumed))) << "killed after epoch " << killed_after;
        EXPECT_EQ(straight.best_epoch, resumed.best_epoch);
        ASSERT_EQ(resumed.history.size(), straight.history.size());
        for (size_t i = 0; i < straight.history.size(); ++i) {
          EXPECT_EQ(straight.history[i].loss, resumed.history[i].loss);
          EXPECT_EQ(straight.history[i].validation_accuracy, resumed.history[i].validation_accuracy);
        }
      }
    }
  }
}

TEST_F(Checkpoint, ADistilledRunEndsInTheSameBits) {
  TrainState taught(small_network(), config());
  train(taught, false);
  const Model teacher{taught.spec, std::move(taught.parameters), {}};
  TrainConfig distilled = config();
  distilled.seed = 7;
  TrainState labels_only(small_network(), distilled);
  train(labels_only, false);
  distilled.distill = {.weight = 0.6, .temperature = 3};
  TrainState straight(small_network(), distilled), killed(small_network(), distilled);
  train(straight, false, kEpochs, &teacher);
  train(killed, false, 2, &teacher);
  TrainState resumed = load_checkpoint(path());
  EXPECT_EQ(config_difference(resumed.config, distilled), "");
  train(resumed, false, kEpochs, &teacher);
  EXPECT_TRUE(same_bits(weights(straight), weights(resumed)));
  EXPECT_FALSE(same_bits(weights(straight), weights(labels_only)));
}

TEST_F(Checkpoint, AFinishedRunHasNothingLeftToDo) {
  TrainState state(small_network(), config());
  train(state, true);
  TrainState again = load_checkpoint(path());
  ArraySource source(100, again.spec.input, kClasses, kBatch, true);
  ArraySource validation(60, again.spec.input, kClasses, kBatch, false, 4);
  Trainer(again, {}).run(source, &validation);
  EXPECT_EQ(source.passes(), 0);
  EXPECT_TRUE(same_bits(weights(state), weights(again))) << "the best weights, not the last";
}

TEST_F(Checkpoint, HoldsEverything) {
  TrainState state(small_network(), config());
  state.about = {{"classes", "[\"a\",\"b\"]"}, {"trained_on", "a test"}};
  train(state, false, 1);
  TrainState back = load_checkpoint(path());
  EXPECT_EQ(back.spec, state.spec);
  EXPECT_EQ(config_difference(back.config, state.config), "");
  EXPECT_EQ(back.about, state.about);
  EXPECT_EQ(back.history.size(), 1U);
  EXPECT_GT(back.optimizer.steps(), 0);
}

// Running statistics may be ruined by a step whose own loss was still a number.
TEST_F(Checkpoint, AValidationLossThatIsNoNumberCanBeReadBack) {
  TrainState state(small_network(), config());
  train(state, true, 2);
  state.history[1].validation_loss = NAN;
  save_checkpoint(path(), state);
  const TrainState back = load_checkpoint(path());
  EXPECT_EQ(back.history[0].validation_loss, state.history[0].validation_loss);
  EXPECT_TRUE(std::isnan(back.history[1].validation_loss));
}

TEST_F(Checkpoint, FailedWriteLeavesThePreviousOne) {
  TrainState state(small_network(), config());
  train(state, false, 1);
  const std::string before = core::read_file(path());
  // Files may not grow past half a checkpoint: write() fails as on a full disk.
  rlimit old{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &old), 0);
  const auto handler = ::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{before.size() / 2, old.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  std::string message;
  try {
    save_checkpoint(path(), state);
  } catch (const core::Error& e) {
    message = e.what();
  }
  ::setrlimit(RLIMIT_FSIZE, &old);
  ::signal(SIGXFSZ, handler);
  EXPECT_THAT(message, HasSubstr(path() + ": cannot write"));
  EXPECT_EQ(core::read_file(path()), before);
  EXPECT_EQ(std::distance(fs::directory_iterator(dir_), fs::directory_iterator{}), 1) << "a temporary file was left";
  EXPECT_EQ(load_checkpoint(path()).history.size(), 1U);
}

TEST_F(Checkpoint, UnwritablePlaceIsFoundBeforeTraining) {
  TrainState state(small_network(), config());
  ArraySource source(100, state.spec.input, kClasses, kBatch, true);
  TrainOptions options;
  options.checkpoint = path("no/such/folder/checkpoint.safetensors");
  EXPECT_THROW(Trainer(state, options).run(source, nullptr), core::Error);
  EXPECT_EQ(source.passes(), 0);
}

TEST_F(Checkpoint, ChangedRequestIsRefusedByName) {
  TrainState state(small_network(), config());
  const auto refusal = [&](const NetworkSpec& spec, const TrainConfig& wanted) -> std::string {
    try {
      check_resumable("RUN/checkpoint", state, spec, wanted);
    } catch (const core::Error& e) {
      return e.what();
    }
    return "";
  };
  EXPECT_EQ(refusal(small_network(), config()), "");
  TrainConfig other = config();
  other.lr = 0.5;
  other.batch = 64;
  EXPECT_THAT(refusal(small_network(), other),
              HasSubstr("RUN/checkpoint: cannot resume: batch is 64, was 32; lr is 0.5, was"));
  TrainConfig softer = config();
  softer.distill.weight = 0.5;
  EXPECT_THAT(refusal(small_network(), softer), HasSubstr("distill.weight is 0.5, was 0"));
  NetworkSpec wider = small_network();
  wider.layers[0].attr.units += 1;
  EXPECT_THAT(refusal(wider, config()), HasSubstr(wider.layers[0].name));
}

TEST_F(Checkpoint, DamagedOrForeignFileIsRefused) {
  TrainState state(small_network(), config());
  save_checkpoint(path(), state);
  const std::string whole = core::read_file(path());
  for (const size_t keep : {size_t{0}, size_t{7}, size_t{100}, whole.size() / 2, whole.size() - 1}) {
    core::write_file_atomically(path("cut"), whole.substr(0, keep));
    EXPECT_THROW(load_checkpoint(path("cut")), core::Error) << keep << " bytes";
  }
  save_model(path("model"), state.spec, state.parameters, {});
  EXPECT_THROW(load_checkpoint(path("model")), core::Error) << "a model is no checkpoint";
  EXPECT_THROW(load_checkpoint(path("missing")), core::Error);
}

}  // namespace
}  // namespace fdi::nn
