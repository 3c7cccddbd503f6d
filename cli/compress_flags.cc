#include "cli/compress_flags.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <array>
#include <cmath>
#include <cstdlib>

#include "core/error.h"

namespace fdi::cli {
namespace {

struct Method {
  const char *name, *title;
  bool weighs_cost;  // beside the loss
  bool by_slopes;    // unless asked otherwise
  int rounds;        // of saliency, the same
};
constexpr std::array kMethods = {
    Method{"deepiot", "DeepIoT", false, false, 0}, Method{"deepiot+flops", "DeepIoT+FLOPs", true, false, 0},
    Method{"fastdeepiot", "FastDeepIoT", true, true, 10}, Method{"uniform", "uniform width", false, false, 0},
    Method{"knapsack", "saliency knapsack", false, false, 20}};

const Method& find_method(const std::string& name) {
  std::string names;
  for (const Method& method : kMethods) {
    if (name == method.name) return method;
    names += fmt::format("{}{}", names.empty() ? "" : ", ", method.name);
  }
  core::fail("--method {}: wanted one of {}", name, names);
}

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

// 0 where the flag is not given.
double read_positive(const char* flag, const std::optional<double>& value, const char* what) {
  if (value && !(*value > 0 && std::isfinite(*value)))
    core::fail("{} {:g}: wanted {}, more than 0", flag, *value, what);
  return value.value_or(0);
}

}  // namespace

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

std::string method_title(const std::string& method) { return find_method(method).title; }

std::string target_text(const compress::SearchConfig& config) {
  std::string text;
  const auto add = [&](double budget, const std::string& what) {
    if (budget > 0) text += (text.empty() ? "" : " and ") + what;
  };
  add(config.max_ms, fmt::format("{:g} ms", config.max_ms));
  add(config.max_mb, fmt::format("{:g} MiB", config.max_mb));
  add(config.target_size, fmt::format("{:g}% of the parameters", 100 * config.target_size));
  return text;
}

compress::SearchConfig search_config(const CompressFlags& flags, int image_size) {
  const Method& method = find_method(flags.method);
  compress::SearchConfig config = flags.search;
  config.max_ms = read_positive("--max-ms", flags.max_ms, "milliseconds of an inference");
  config.max_mb = read_positive("--max-mb", flags.max_mb, "MiB of memory");
  config.target_size = flags.size ? read_part(*flags.size) : 0;
  config.lambda = read_positive("--lambda", flags.lambda, "units of the loss (left out, it is found from the budgets)");
  if (!method.weighs_cost && flags.lambda)
    core::fail("--lambda {}: {} has no cost to weigh; take --method deepiot+flops or fastdeepiot", *flags.lambda,
               flags.method);
  if (!method.weighs_cost && flags.search.cost_as_reward)
    core::fail("--cost-as-reward: {} has no cost; take --method deepiot+flops or fastdeepiot", flags.method);
  if (!flags.size && !flags.max_ms && !flags.max_mb)
    core::fail("what is the target? give --max-ms, --max-mb or --target-size, e.g. --target-size 10%");
  if (!(flags.validation > 0 && flags.validation < 1))
    core::fail("--validation {}: wanted 0 < fraction < 1", flags.validation);
  if (!flags.gradient.empty() && flags.gradient != "score" && flags.gradient != "slope")
    core::fail("--gradient {}: wanted score or slope", flags.gradient);
  check_on_off("--augment", flags.augment);
  if (!flags.verify.empty()) check_on_off("--verify", flags.verify);
  config.seed = flags.common.seed;
  config.find_lambda = method.weighs_cost && !(config.lambda > 0);
  config.by_slopes = flags.gradient.empty() ? method.by_slopes && !config.cost_as_reward : flags.gradient == "slope";
  const bool published = method.by_slopes && !config.by_slopes;
  config.rounds = flags.rounds.value_or(published ? 0 : method.rounds);
  if (flags.method == "uniform" && config.rounds > 0) core::fail("--rounds {}: uniform has none", config.rounds);
  if (flags.method == "knapsack" && config.rounds < 1)
    core::fail("--rounds {}: the knapsack wants 1 or more", config.rounds);
  if (config.by_slopes && config.cost_as_reward)
    core::fail("--gradient slope: --cost-as-reward needs the rewards of --gradient score");
  config.data = {{"name", flags.data},
                 {"image_size", image_size},
                 {"limit", flags.limit},
                 {"validation", flags.validation},
                 {"augment", flags.augment == "on"},
                 {"method", flags.method}};
  return compress::search_config_from_json(compress::search_config_to_json(config));  // checks every range
}

nn::TrainConfig fine_tune_config(const CompressFlags& flags, const compress::SearchConfig& search) {
  nn::TrainConfig config;
  config.epochs = flags.epochs;
  config.batch = flags.fine_tune_batch;
  config.lr = flags.lr;
  config.distill = flags.distill;
  config.seed = search.seed;
  config.data = search.data;
  return nn::config_from_json(nn::config_to_json(config));  // checks every range
}

void add_compress_options(CLI::App& command, CompressFlags& flags) {
  const auto add = [&](const char* name, auto& value, const char* type, const char* help) {
    return command.add_option(name, value, help)->type_name(type)->capture_default_str();
  };
  const auto budget = [&](const char* name, auto& value, const char* type, const char* help) {
    command.add_option(name, value, help)->type_name(type)->group("Budgets (one or more, all are kept)");
  };
  add("--model", flags.model, "FILE", "The trained model")->required();
  add("--data", flags.data, "NAME|PATH", "The images that it was trained on");
  add("--method", flags.method, "NAME",
      "deepiot; deepiot+flops: FLOPs count as a cost; fastdeepiot: time does; uniform: every layer keeps the same "
      "part; "
      "knapsack: saliency per cost, under a budget that falls");
  command
      .add_option(
          "--lambda", flags.lambda,
          "What a MFLOP, or a millisecond, counts as, in units of the loss; found from the budgets unless given")
      ->type_name("X");
  command.add_flag("--cost-as-reward", flags.search.cost_as_reward,
                   "The cost reaches the compressor through the structures drawn, not through its slope");
  command
      .add_option("--gradient", flags.gradient,
                  "How the loss reaches the compressor: score (losses of whole structures, as published) or slope (its "
                  "slopes at the units: less noise, half the work) [score; with fastdeepiot slope]")
      ->type_name("score|slope");
  command
      .add_option(
          "--rounds", flags.rounds,
          "Rounds of pruning by saliency per cost, of --stage-steps each, that go from 1.3 times the budget, where "
          "the search stops then, to the budget; 0: the search alone [10 with fastdeepiot by slopes, else 0; "
          "knapsack: 20, from the whole network]")
      ->type_name("N");
  command
      .add_option("--verify", flags.verify,
                  "With --max-ms: time the best structures here, and choose by what is measured [on; off with the "
                  "model of another device (--force), which cannot be timed here]")
      ->type_name("on|off");
  add("--out", flags.out, "RUN", "Folder of this run: checkpoints, keep.json, result.json and model.safetensors")
      ->required();
  command.add_flag("--resume", flags.resume, "Go on from RUN's checkpoints, with the same flags");
  budget("--max-ms", flags.max_ms, "X",
         "Milliseconds of an inference, one image at a time; needs a time model (profile, then fit)");
  budget("--max-mb", flags.max_mb, "X",
         "Peak memory of an inference, one image at a time, in MiB (2^20 bytes): weights and planned activations");
  budget("--target-size", flags.size, "PART", "Part of the parameters, e.g. 10%");
  const auto recipe = [&](const char* name, auto& value, const char* type, const char* help) {
    return add(name, value, type, help)->group("Recipe");
  };
  recipe("--stage-steps", flags.search.stage_steps, "N", "Steps at each threshold");
  recipe("--start", flags.search.start, "P",
         "Probability of being kept that every unit starts near; higher for deep and narrow networks");
  recipe("--threshold-start", flags.search.threshold_start, "X", "The first threshold");
  recipe("--threshold-end", flags.search.threshold_end, "X", "The last one");
  recipe("--threshold-step", flags.search.threshold_step, "X", "Rise of the threshold from one stage to the next");
  recipe("--search-batch", flags.search.batch, "N", "Images per step of the search");
  recipe("--critic-lr", flags.search.critic_lr, "X", "Learning rate of the network during the search (Adam)");
  recipe("--compressor-lr", flags.search.compressor_lr, "X", "Learning rate of the compressor (RMSProp)");
  recipe("--epochs", flags.epochs, "N", "Passes of the fine-tuning");
  recipe("--lr", flags.lr, "X", "Highest learning rate of the fine-tuning (one-cycle SGD)");
  recipe("--batch", flags.fine_tune_batch, "N", "Images per step of the fine-tuning");
  recipe("--distill", flags.distill.weight, "X",
         "Part of the fine-tuning's loss that comes from the original's softened outputs, not the labels; 0: none");
  recipe("--temperature", flags.distill.temperature, "T", "Softens the outputs for --distill")->needs("--distill");
  recipe("--validation", flags.validation, "FRACTION", "Part of the training images that choices are made on");
  recipe("--augment", flags.augment, "on|off", "Random shift by up to 4 pixels, and random flip");
  recipe("--limit", flags.limit, "N", "Take only N images of each split, for a quick trial; 0: all");
  add_timing(command, flags.timing);
  command.footer(
      "The search writes a line per threshold: the units that are left of each layer, in the network's order, the\n"
      "accuracy with units weighted by their probability, the predicted time. A kill at any moment costs at most a\n"
      "stage. The published recipe: --start 0.5 --threshold-start 0 --threshold-step 0.025 --threshold-end 0.825\n"
      "--stage-steps 500 --critic-lr 1e-4 --compressor-lr 1e-3; it wants a wide network and much time.\n\n"
      "--method fastdeepiot is not the paper's as published: its schedule is the short one above; the compressor "
      "takes\n"
      "the loss's slopes, not scores; the search ends at 1.3 times the budget, and rounds of saliency per cost lead "
      "from\n"
      "there to it; the widths are chosen by exact times, in place of Algorithm 2, which `expand --expand paper` is.\n"
      "The paper's: --gradient score --rounds 0 --verify off with the published recipe, then `expand`.\n\n"
      "RUN always holds the network in the end. Exit status 1: it misses a budget, as the last line says. Where the\n"
      "network keeps all budgets already, RUN/model.safetensors is a copy of it.\n\n"
      "Example:\n"
      "  fastdeepiot profile --for runs/vgg/model.safetensors && fastdeepiot fit\n"
      "  fastdeepiot compress --model runs/vgg/model.safetensors --data cifar10 --method fastdeepiot --max-ms 2 \\\n"
      "    --out runs/fast");
}

}  // namespace fdi::cli
