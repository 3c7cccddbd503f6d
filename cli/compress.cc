// `fastdeepiot compress`: a trained network and labelled images become a smaller network: search, shrink, fine-tune.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cmath>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "cli/before_after.h"
#include "cli/commands.h"
#include "cli/images.h"
#include "cli/options.h"
#include "cli/run_folder.h"
#include "cli/time_model_choice.h"
#include "compress/search.h"
#include "compress/shrink.h"
#include "core/error.h"
#include "core/file.h"
#include "core/threads.h"
#include "device/engine.h"
#include "device/identity.h"
#include "nn/checkpoint.h"
#include "nn/evaluate.h"
#include "nn/fuse.h"
#include "nn/summary.h"
#include "nn/trainer.h"
#include "profile/time_model.h"

namespace fdi::cli {
namespace {

// Short enough for a demonstration. The published recipe is SearchConfig's own; the help says how to ask for it.
compress::SearchConfig short_recipe() {
  compress::SearchConfig config;
  config.start = 0.9;
  config.threshold_start = 0.7;
  config.threshold_step = 0.015;
  config.threshold_end = 0.995;
  config.stage_steps = 100;
  config.critic_lr = 1e-3;
  config.compressor_lr = 3e-3;
  return config;
}

constexpr const char* kSearch = "search.safetensors";  // the checkpoint of the search, the first of a run

struct CompressFlags {
  CommonOptions common;
  std::string model, data = "cifar10", method = "deepiot", size, out, augment = "on";
  bool resume = false;
  TimingOptions timing;
  compress::SearchConfig search = short_recipe();
  int epochs = 10, fine_tune_batch = 128;
  double lr = 0.02, validation = 0.1;
  int64_t limit = 0;
};

// "10%" or "0.1".
double read_part(const std::string& text) {
  const bool percent = text.ends_with('%');
  const std::string number = percent ? text.substr(0, text.size() - 1) : text;
  char* end = nullptr;
  const double value = std::strtod(number.c_str(), &end) / (percent ? 100 : 1);
  if (number.empty() || *end != '\0' || !(value > 0 && value < 1))
    core::fail("--target-size {}: wanted a part of the parameters, more than 0 and less than 1, e.g. 10% or 0.1", text);
  return value;
}

compress::SearchConfig search_config(const CompressFlags& flags, int image_size) {
  if (flags.method != "deepiot" && flags.method != "deepiot+flops" && flags.method != "fastdeepiot")
    core::fail("--method {}: wanted deepiot, deepiot+flops or fastdeepiot", flags.method);
  if (flags.method == "deepiot" && flags.search.lambda > 0)
    core::fail("--lambda {}: deepiot has no cost to weigh; take --method deepiot+flops", flags.search.lambda);
  if (flags.method != "deepiot" && !(flags.search.lambda > 0))
    core::fail("--method {}: needs --lambda, the loss that a {} counts as", flags.method,
               flags.method == "fastdeepiot" ? "millisecond" : "MFLOP");
  if (flags.size.empty()) core::fail("what is the target? give --target-size, e.g. --target-size 10%");
  if (!(flags.validation > 0 && flags.validation < 1))
    core::fail("--validation {}: wanted 0 < fraction < 1", flags.validation);
  if (flags.augment != "on" && flags.augment != "off") core::fail("--augment {}: wanted on or off", flags.augment);
  compress::SearchConfig config = flags.search;
  config.seed = flags.common.seed;
  config.target_size = read_part(flags.size);
  config.data = {{"name", flags.data},
                 {"image_size", image_size},
                 {"limit", flags.limit},
                 {"validation", flags.validation},
                 {"augment", flags.augment == "on"},
                 {"method", flags.method}};
  return compress::search_config_from_json(compress::search_config_to_json(config));  // checks every range
}

compress::SearchState prepare(const CompressFlags& flags, const RunFolder& run) {
  nn::Model model = nn::load_model(flags.model);
  const compress::SearchConfig config = search_config(flags, image_facts(model.metadata, flags.model).image_size);
  if (!flags.resume) return {std::move(model), config};
  compress::SearchState state = compress::load_search(run.file(kSearch));
  const nlohmann::json now = search_config_to_json(config), before = search_config_to_json(state.config);
  for (const auto& [key, value] : now.items())
    if (before.at(key) != value)
      core::fail("{}: cannot resume: {} is {}, was {}; ask for the same again, or start a new run in another folder",
                 run.file(kSearch), key, value.dump(), before.at(key).dump());
  return state;
}

// None: nothing is predicted, which all methods but one can do without.
std::optional<ChosenTimeModel> choose_time_model(const CompressFlags& flags, const nn::NetworkSpec& network) {
  const AsTimed timed(flags.timing);
  auto found = find_time_model(flags.timing, timed.identity(), network);
  if (!found && flags.method == "fastdeepiot") fail_no_time_model(flags.timing, timed.identity(), network, flags.model);
  if (found && found->forced()) fmt::print(stderr, "{}\n", found->note);
  return found;
}

compress::Objective objective_of(const CompressFlags& flags, const compress::SearchState& state,
                                 const std::optional<ChosenTimeModel>& time_model) {
  if (flags.method == "deepiot") return compress::no_objective();
  if (flags.method == "deepiot+flops") return compress::flops_objective(state.model.spec, state.groups);
  return compress::time_objective(state.model.spec, state.groups, time_model->model);
}

nn::Evaluation judge(const nn::Model& model, const datasets::DatasetPtr& images, int batch) {
  LoaderSource source(images, image_facts(model.metadata, model.spec.name).normalization, judging_loader(batch));
  core::Progress progress;
  return nn::evaluate(model.spec, model.parameters, batch, source, &progress);
}

// The dense network, trained on; goes on from its checkpoint where there is one.
nn::Model fine_tune(nn::Model small, const CompressFlags& flags, const compress::SearchConfig& search,
                    const RunFolder& run, const TrainingImages& images) {
  nn::TrainConfig config;
  config.epochs = flags.epochs;
  config.batch = flags.fine_tune_batch;
  config.lr = flags.lr;
  config.seed = search.seed;
  config.data = search.data;
  std::optional<nn::TrainState> state;
  if (flags.resume && run.has("checkpoint.safetensors")) {
    state.emplace(nn::load_checkpoint(run.checkpoint()));
    nn::check_resumable(run.checkpoint(), *state, small.spec, config);
  } else {
    state.emplace(small.spec, config);
    std::copy(small.parameters.all().begin(), small.parameters.all().end(), state->parameters.all().begin());
    state->about = small.metadata;
  }
  const auto normalization = image_facts(small.metadata, flags.model).normalization;
  LoaderSource train(images.train, normalization, training_loader(config.data, config.batch, config.seed));
  LoaderSource validation(images.validation, normalization, judging_loader(config.batch));
  core::Progress progress;
  nn::Trainer(*state, {.checkpoint = run.checkpoint(), .progress = &progress, .on_step = {}}).run(train, &validation);
  return {state->spec, std::move(state->parameters), std::move(state->about)};
}

void compress_model(const CompressFlags& flags) {
  const RunFolder run(flags.out, flags.resume, kSearch);
  const nn::Model original = nn::load_model(flags.model);
  const ImageFacts facts = image_facts(original.metadata, flags.model);
  compress::SearchState state = prepare(flags, run);
  const std::optional<ChosenTimeModel> time_model = choose_time_model(flags, original.spec);
  const compress::Objective objective = objective_of(flags, state, time_model);
  const TrainingImages images = open_training_images(state.config.data, state.config.seed);
  check_fit(*images.train, facts, original.spec.input, flags.model);
  run.make();

  LoaderSource train(images.train, facts.normalization,
                     training_loader(state.config.data, state.config.batch, state.config.seed));
  LoaderSource validation(images.validation, facts.normalization, judging_loader(state.config.batch));
  core::Progress progress;
  compress::Search search(state, objective, {.checkpoint = run.file(kSearch), .progress = &progress});
  search.run(train, &validation);
  const compress::Keep keep = search.keep();
  core::write_file_atomically(run.file("keep.json"), keep_to_json(keep, state.groups).dump() + "\n");
  if (state.history.back().size > state.config.target_size)
    fmt::print(stderr, "the target of {:.1f}% was not reached: {:.1f}% of the parameters are left at threshold {}\n",
               100 * state.config.target_size, 100 * state.history.back().size, state.history.back().threshold);
  const nn::Model small = fine_tune(search.shrunk(keep), flags, state.config, run, images);
  nn::save_model(run.model(), small.spec, small.parameters, small.metadata);

  const double accuracy = judge(small, images.test, flags.fine_tune_batch).accuracy();
  const double accuracy_original = judge(original, images.test, flags.fine_tune_batch).accuracy();
  const AsTimed timed(flags.timing);
  const nlohmann::json compared =
      measure_before_after({original, small, timed.engine(), time_model ? &time_model->model : nullptr});
  print(flags.common, before_after_text({original, small, timed.engine()}, compared) +
                          fmt::format("test accuracy {:.2f}%, was {:.2f}%\nmodel: {}\n", 100 * accuracy,
                                      100 * accuracy_original, run.model()));
  write_result(flags.common, {{"method", flags.method},
                              {"accuracy", accuracy},
                              {"accuracy_original", accuracy_original},
                              {"predicted_ms", compared["after_ms"]["predicted"]},  // null without a time model
                              {"measured_ms", compared["after_ms"]["measured"]},
                              {"measured_ms_original", compared["before_ms"]["measured"]},
                              {"parameters", compared["parameters"]},
                              {"flops", compared["flops"]},
                              {"peak_memory_mb", compared["peak_memory_mb"]},
                              {"widths", compared["widths"]},
                              {"forced", time_model && time_model->forced()},
                              {"seed", flags.common.seed}});
}

}  // namespace

void add_compress(CLI::App& app) {
  CLI::App* command = app.add_subcommand("compress", "Drop a network's units until it meets a target, then fine-tune");
  const auto flags = std::make_shared<CompressFlags>();
  const auto add = [&](const char* name, auto& value, const char* type, const char* help) {
    return command->add_option(name, value, help)->type_name(type)->capture_default_str();
  };
  add("--model", flags->model, "FILE", "The trained model")->required();
  add("--data", flags->data, "NAME|PATH", "The images that it was trained on");
  add("--method", flags->method, "NAME", "deepiot; deepiot+flops: FLOPs count as a cost; fastdeepiot: time does");
  add("--target-size", flags->size, "PART", "Stop when so much of the parameters is left, e.g. 10%");
  add("--lambda", flags->search.lambda, "X", "What a MFLOP, or a millisecond, counts as, in units of the loss");
  command->add_flag("--cost-as-reward", flags->search.cost_as_reward,
                    "The cost reaches the compressor through the structures drawn, not through its slope");
  add("--out", flags->out, "RUN", "Folder of this run: checkpoints, keep.json and model.safetensors")->required();
  command->add_flag("--resume", flags->resume, "Go on from RUN's checkpoints, with the same flags");
  const auto recipe = [&](const char* name, auto& value, const char* type, const char* help) {
    add(name, value, type, help)->group("Recipe");
  };
  recipe("--stage-steps", flags->search.stage_steps, "N", "Steps at each threshold");
  recipe("--start", flags->search.start, "P",
         "Probability of being kept that every unit starts near; higher for deep and narrow networks");
  recipe("--threshold-start", flags->search.threshold_start, "X", "The first threshold");
  recipe("--threshold-end", flags->search.threshold_end, "X", "The last one");
  recipe("--threshold-step", flags->search.threshold_step, "X", "Rise of the threshold from one stage to the next");
  recipe("--search-batch", flags->search.batch, "N", "Images per step of the search");
  recipe("--critic-lr", flags->search.critic_lr, "X", "Learning rate of the network during the search (Adam)");
  recipe("--compressor-lr", flags->search.compressor_lr, "X", "Learning rate of the compressor (RMSProp)");
  recipe("--epochs", flags->epochs, "N", "Passes of the fine-tuning");
  recipe("--lr", flags->lr, "X", "Highest learning rate of the fine-tuning (one-cycle SGD)");
  recipe("--batch", flags->fine_tune_batch, "N", "Images per step of the fine-tuning");
  recipe("--validation", flags->validation, "FRACTION", "Part of the training images that choices are made on");
  recipe("--augment", flags->augment, "on|off", "Random shift by up to 4 pixels, and random flip");
  recipe("--limit", flags->limit, "N", "Take only N images of each split, for a quick trial; 0: all");
  add_timing(*command, flags->timing);
  command->footer(
      "The search writes a line per threshold: the units that are left of each layer, in the network's order, the\n"
      "accuracy with units weighted by their probability, the cost. A kill at any moment costs at most a stage.\n"
      "The published recipe: --start 0.5 --threshold-start 0 --threshold-step 0.025 --threshold-end 0.825\n"
      "--stage-steps 500 --critic-lr 1e-4 --compressor-lr 1e-3; it wants a wide network and much time.\n\n"
      "Example:\n"
      "  fastdeepiot compress --model runs/vgg/model.safetensors --data cifar10 --target-size 10% --out runs/small");
  add_common(*command, flags->common, [flags] { compress_model(*flags); });
}

}  // namespace fdi::cli
