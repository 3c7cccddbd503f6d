// The flags of `train` with their help, see train_flags.h.
#include "cli/train_flags.h"

#include <CLI/CLI.hpp>

#include "cli/images.h"
#include "core/error.h"

namespace fdi::cli {
namespace {

void add_recipe_flags(CLI::App& command, TrainFlags& f) {
  const std::string group = "Recipe";
  const auto add = [&](const char* name, auto& value, const char* type, const char* help) {
    command.add_option(name, value, help)->type_name(type)->capture_default_str()->group(group);
  };
  add("--epochs", f.epochs, "N", "Passes over the training images");
  add("--batch", f.batch, "N", "Images per step");
  add("--lr", f.lr, "X", "Learning rate, the highest one of the schedule; 0.001 for adam and rmsprop unless given");
  add("--optimizer", f.optimizer, "NAME", "sgd (Nesterov), adam, rmsprop; formulas as in PyTorch");
  add("--momentum", f.momentum, "X", "Momentum of sgd and rmsprop (there 0 unless given); beta1 of adam");
  add("--weight-decay", f.weight_decay, "X", "L2, added to the gradient; 0 for adam and rmsprop unless given");
  add("--schedule", f.schedule, "NAME", "one-cycle, cosine, step (times 0.1 every third of the epochs), constant");
  add("--warm-up", f.warm_up, "EPOCHS", "Rising learning rate at the start, for cosine, step and constant");
  add("--augment", f.augment, "on|off", "Random shift by up to 4 pixels, and random flip");
  add("--validation", f.validation, "FRACTION",
      "Part of the training images held back to choose the best epoch; 0 takes the last epoch");
  add("--patience", f.patience, "N", "Stop after N epochs without a better validation accuracy; 0: never");
  add("--limit", f.limit, "N", "Take only N images of each split, drawn at random, for a quick trial; 0: all");
}

}  // namespace

void add_train_flags(CLI::App& command, TrainFlags& f) {
  auto* zoo = command.add_option("--zoo", f.zoo, "A network of the zoo: vgg16, vgg16-imagenet, resnet20, lenet");
  auto* spec = command.add_option("--spec", f.spec, "A network described in a JSON file");
  zoo->type_name("NAME")->excludes(spec);
  spec->type_name("FILE")->excludes(zoo);
  command.add_option("--width", f.width, "Scales the channels of a zoo network")
      ->type_name("X")
      ->capture_default_str()
      ->excludes(spec);
  command.add_option("--data", f.data, "cifar10, tiny_imagenet, synthetic, or a path; see 'fastdeepiot data --help'")
      ->type_name("NAME|PATH")
      ->capture_default_str();
  command.add_option("--out", f.out, "Folder of this run: checkpoint.safetensors and model.safetensors")
      ->type_name("RUN")
      ->required();
  command.add_flag(
      "--resume", f.resume,
      "Go on from RUN's checkpoint, to the same numbers as without the break; flags left out are as before. The images "
      "must be the same; where they have moved, --data says where they are now");
  command.add_option("--image-size", f.image_size, "Fit every image to N x N, at most 8192; 0: as they are, all alike")
      ->type_name("N")
      ->capture_default_str();
  add_recipe_flags(command, f);
}

nn::TrainConfig apply_flags(const CLI::App& command, const TrainFlags& f, nn::TrainConfig config) {
  const auto given = [&](const char* name) { return command.get_option(name)->count() > 0; };
  if (given("--optimizer")) {
    if (f.optimizer != config.optimizer.kind) {
      config.optimizer = nn::default_optimizer(f.optimizer);
      config.lr = f.optimizer == "sgd" ? 0.1 : 1e-3;
    }
  }
  if (given("--epochs")) config.epochs = f.epochs;
  if (given("--batch")) config.batch = f.batch;
  if (given("--lr")) config.lr = f.lr;
  if (given("--momentum"))
    (config.optimizer.kind == "adam" ? config.optimizer.beta1 : config.optimizer.momentum) = f.momentum;
  if (given("--weight-decay")) config.optimizer.weight_decay = f.weight_decay;
  if (given("--schedule")) config.schedule.kind = f.schedule;
  if (given("--warm-up")) config.schedule.warm_up_epochs = f.warm_up;
  if (config.schedule.kind == "step") config.schedule.step_epochs = config.epochs / 3.0;
  if (given("--seed")) config.seed = f.common.seed;
  if (given("--patience")) config.patience = f.patience;

  const bool fresh = config.data.empty();
  const auto set = [&](const char* flag, const char* key, const auto& value) {
    if (fresh || given(flag)) config.data[key] = value;
  };
  check_on_off("--augment", f.augment);
  if (!(f.validation >= 0 && f.validation < 1)) core::fail("--validation {}: wanted 0 <= fraction < 1", f.validation);
  if (f.limit < 0) core::fail("--limit {}: wanted 0 (all) or more", f.limit);
  set("--zoo", "zoo", f.zoo);
  set("--width", "width", f.width);
  set("--data", "name", f.data);
  set("--augment", "augment", f.augment == "on");
  set("--validation", "validation", f.validation);
  image_options(f.image_size);  // checks its range
  set("--limit", "limit", f.limit);
  set("--image-size", "image_size", f.image_size);
  if (config.patience > 0 && config.data["validation"] == 0.0)
    core::fail("--patience {}: needs a validation split; add --validation 0.1", config.patience);
  return nn::config_from_json(nn::config_to_json(config));  // checks every range
}

}  // namespace fdi::cli
