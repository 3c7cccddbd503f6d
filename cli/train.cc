// `fastdeepiot train`: from a network and labelled images to a model file, with a checkpoint after every epoch.
#include <CLI/CLI.hpp>
#include <cmath>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "cli/class_table.h"
#include "cli/commands.h"
#include "cli/images.h"
#include "cli/network_choice.h"
#include "cli/run_folder.h"
#include "cli/terminal.h"
#include "cli/train_flags.h"
#include "core/error.h"
#include "core/restart.h"
#include "core/threads.h"
#include "kernels/isa.h"
#include "nn/check_batches.h"
#include "nn/checkpoint.h"
#include "nn/evaluate.h"
#include "nn/model_file.h"
#include "nn/trainer.h"

namespace fdi::cli {
namespace {

// A fresh run, or what the checkpoint holds where --resume asks for it.
nn::TrainState prepare(const CLI::App& command, const TrainFlags& flags, const RunFolder& run, TrainingImages& images) {
  if (flags.resume) {
    nn::TrainState state = nn::load_checkpoint(run.checkpoint());
    const nn::TrainConfig config = apply_flags(command, flags, state.config);
    state.config.data["name"] = config.data["name"];                   // the same images may lie elsewhere now
    nn::check_resumable(run.checkpoint(), state, state.spec, config);  // said before the images are read
    images = reopen_training_images(config.data, config.seed, state.about, run.checkpoint());
    const auto classes = static_cast<int>(images.train->classes().size());
    const bool named = !flags.zoo.empty() || !flags.spec.empty();  // --width alone: a difference of the configs
    const nn::NetworkSpec spec = named ? choose_network(flags.zoo, flags.spec, config.data.value("width", flags.width),
                                                        images.train->image_shape(), classes)
                                       : state.spec;
    nn::check_resumable(run.checkpoint(), state, spec, config);
    check_fit(*images.train, image_facts(state.about, run.checkpoint()), state.spec.input, run.checkpoint());
    return state;
  }
  if (flags.zoo.empty() && flags.spec.empty())
    core::fail("which network? give --zoo NAME (e.g. vgg16) or --spec FILE; see fastdeepiot train --help");
  const nn::TrainConfig config = apply_flags(command, flags, nn::TrainConfig{});
  choose_network(flags.zoo, flags.spec, flags.width, {}, 0);  // a wrong name is said before the images are read
  images = open_training_images(config.data, config.seed);
  const auto classes = static_cast<int>(images.train->classes().size());
  nn::TrainState state(choose_network(flags.zoo, flags.spec, flags.width, images.train->image_shape(), classes),
                       config);
  check_outputs(state.spec, classes);
  const ImageFacts facts{images.train->classes(), datasets::compute_normalization(*images.train),
                         config.data.at("image_size"), images.train->source()};
  check_fit(*images.train, facts, state.spec.input, "network " + state.spec.name);
  state.about = to_metadata(facts);
  state.about[kImagesRecord] = images.record;
  state.about["isa"] = kernels::isa();
  state.about["gemm"] = flags.common.gemm;
  return state;
}

nlohmann::json to_json(const nn::TrainState& state, const nn::Evaluation& e) {
  double seconds = 0, images = 0;
  nlohmann::json history = nlohmann::json::array();
  for (const nn::EpochRecord& r : state.history) {
    seconds += r.seconds;
    images += r.seconds * r.images_per_s;
    history.push_back(nn::record_to_json(r));
  }
  return {{"accuracy", e.accuracy()},
          {"loss", e.loss},
          {"examples", e.examples},
          {"epochs", state.history.size()},
          {"best_epoch", state.best_epoch > 0 ? state.best_epoch : static_cast<int>(state.history.size())},
          {"seconds", seconds},
          {"images_per_s", seconds > 0 ? images / seconds : 0},
          {"threads", core::threads()},
          {"isa", kernels::isa()},
          {"gemm", state.about.at("gemm")},
          {"trained_on", state.about.at("trained_on")},
          {"config", nn::config_to_json(state.config)},
          {"history", history}};
}

void train(const CLI::App& command, const TrainFlags& flags) {
  if (core::threads() > 1) core::restart_with({core::kShortSpins});
  RunFolder run(flags.out, "train", flags.resume);
  TrainingImages images;
  nn::TrainState state = prepare(command, flags, run, images);
  if (!state.finished())
    nn::check_batches(state.spec, images.train->size(), state.config.batch, "--batch", flags.resume);
  run.make();
  if (flags.resume) {
    note("resuming after epoch {} of {}", state.history.size(), state.config.epochs);
    for (const auto& [key, now] : {std::pair("isa", kernels::isa()), std::pair("gemm", flags.common.gemm)})
      if (state.about[key] != now)
        note("warning: the run began with --{0} {1}, this is --{0} {2}: last digits will differ", key, state.about[key],
             now);
  }
  const datasets::Normalization normalization = image_facts(state.about, run.checkpoint()).normalization;
  LoaderSource source(images.train, normalization,
                      training_loader(state.config.data, state.config.batch, state.config.seed));
  std::optional<LoaderSource> validation;
  if (images.validation) validation.emplace(images.validation, normalization, judging_loader(state.config.batch));
  {
    core::Progress progress;
    nn::TrainOptions options;
    options.checkpoint = run.checkpoint();
    options.progress = &progress;
    nn::Trainer(state, options).run(source, validation ? &*validation : nullptr);
  }

  LoaderSource test(images.test, normalization, judging_loader(state.config.batch));
  core::Progress progress;
  const nn::Evaluation e = nn::evaluate(state.spec, state.parameters, state.config.batch, test, &progress);
  if (!std::isfinite(e.loss))
    core::fail(
        "the loss on {} is {} after step {} (epoch {} of training ended with {:.4f}): the last updates ruined the "
        "weights, no model was written; lower --lr and start a new run in another folder",
        images.test->source(), e.loss, state.optimizer.steps(), state.history.size(), state.history.back().loss);
  nn::save_model(run.model(), state.spec, state.parameters, state.about);
  progress.finish(fmt::format("evaluated on {}", images.test->source()));
  print(flags.common, fmt::format("test accuracy {:.2f}%, loss {:.4f}, {} images\nmodel: {}\n", 100 * e.accuracy(),
                                  e.loss, e.examples, run.model()));
  write_result(flags.common, to_json(state, e));
}

}  // namespace

void add_train(CLI::App& app) {
  CLI::App* command = app.add_subcommand("train", "Train a network on labelled images");
  const auto flags = std::make_shared<TrainFlags>();
  add_train_flags(*command, *flags);
  command->footer(
      "Every epoch ends with a checkpoint in RUN, written so that a crash or a full disk never harms the previous "
      "one.\n"
      "The default recipe (one-cycle SGD to 0.1, Nesterov 0.9, weight decay 5e-4, batch 128, shift and flip) is meant\n"
      "for CIFAR-10. The result says the accuracy on the test images and lies in RUN/model.safetensors.\n\n"
      "Example:\n"
      "  fastdeepiot train --zoo vgg16 --width 0.25 --data cifar10 --epochs 10 --out runs/vgg --json vgg.json\n"
      "  fastdeepiot train --out runs/vgg --resume        # after an interruption");
  add_common(*command, flags->common, [command, flags] { train(*command, *flags); });
}

}  // namespace fdi::cli
