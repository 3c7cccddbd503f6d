// `fastdeepiot predict`: what a network will take on a device, layer by layer with the rule that says so; with
// --measure beside what it takes.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "cli/commands.h"
#include "cli/network_choice.h"
#include "cli/profile_run.h"
#include "cli/time_model_choice.h"
#include "core/error.h"
#include "core/file.h"
#include "core/text.h"
#include "nn/model_file.h"

namespace fdi::cli {
namespace {

struct PredictFlags {
  ProfileFlags profile;  // of a device that has no model yet
  std::string model, zoo, spec, time_model;
  double width = 1;
  bool measure = false, force = false, make_model = false;
};

// The paper's section 4.3: a device that has no model is profiled, here for the layers of one network.
void make_model(const PredictFlags& flags, profile::Runner& runner, const nn::NetworkSpec& network) {
  ProfileFlags asked = flags.profile;
  asked.specs = {network};
  profile_device(asked, runner);
  profile::Store store(store_path(flags.profile.profiling.database));
  profile::FitOptions options;
  options.seed = flags.profile.profiling.common.seed;
  const profile::SampleSet set = stored_samples(store, store.find_device(runner.identity()).value());
  fit_model(set, options, flags.force, &store);
}

ChosenTimeModel choose_model(const PredictFlags& flags, profile::Runner& runner, const nn::NetworkSpec& network,
                             const std::string& name) {
  const ProfilingOptions& p = flags.profile.profiling;
  const TimingOptions timing{p.engine, p.common.isa, p.common.threads, flags.time_model, p.database, flags.force};
  auto found = find_time_model(timing, runner.identity(), network);
  if (!found && flags.make_model) {
    make_model(flags, runner, network);
    found = find_time_model(timing, runner.identity(), network);
  }
  if (!found) fail_no_time_model(timing, runner.identity(), network, name, p.device);
  return std::move(*found);
}

// A line per layer with the number of its rule, and the rules below: layers share them, and they are long.
std::string table(const nn::NetworkSpec& spec, const profile::NetworkPrediction& predicted,
                  const std::optional<profile::NetworkTiming>& measured) {
  size_t width = 5;
  for (const profile::LayerPrediction& l : predicted.layers) width = std::max(width, l.name.size());
  std::string text = fmt::format("{:<{}} {:>11} {:>23} {}  rule\n", "layer", width, "us", "90% interval",
                                 measured ? fmt::format("{:>11} {:>7}", "measured", "error") : "");
  std::vector<std::string> rules;
  const std::vector<device::Component> components = device::components(spec);
  for (size_t i = 0; i < predicted.layers.size(); ++i) {
    const auto& [layer, p] = predicted.layers[i];
    const std::string rule = fmt::format("{}, {}", nn::op_name(components[i].layer.op), p.rule);
    const auto number = std::ranges::find(rules, rule) - rules.begin();
    if (number == std::ssize(rules)) rules.push_back(rule);
    std::string compared;
    if (const double us = measured ? measured->layer_us[i] : 0; us > 0)
      compared = fmt::format("{:>11.2f} {:>+6.1f}%", us, 100 * (p.us / us - 1));
    else if (measured)
      compared = fmt::format("{:>11} {:>7}", "none", "");  // nothing to do for this engine
    text += fmt::format("{:<{}} {:>11.2f} {:>11.2f} {:>11.2f} {}  {:>4}\n", layer, width, p.us, p.low_us, p.high_us,
                        compared, number + 1);
  }
  text += "\nrules\n";
  for (size_t i = 0; i < rules.size(); ++i) text += core::wrapped(fmt::format("{:>4}  {}", i + 1, rules[i]), 8) + "\n";
  return text;
}

void predict(const PredictFlags& flags) {
  if (flags.model.empty() && flags.zoo.empty() && flags.spec.empty())
    core::fail("which network? give --model FILE, --zoo NAME or --spec FILE; see fastdeepiot predict --help");
  const std::string name = !flags.model.empty() ? flags.model
                           : flags.zoo.empty()  ? flags.spec
                           : flags.width == 1   ? flags.zoo
                                                : fmt::format("{} --width {}", flags.zoo, flags.width);
  const nn::NetworkSpec spec = flags.model.empty() ? choose_network(flags.zoo, flags.spec, flags.width, {}, 0)
                                                   : nn::load_model(flags.model).spec;
  const std::unique_ptr<profile::Runner> runner = make_runner(flags.profile.profiling);
  const ChosenTimeModel chosen = choose_model(flags, *runner, spec, name);
  const profile::NetworkPrediction predicted = profile::predict_network(chosen.model, spec);
  std::optional<profile::NetworkTiming> measured;
  if (flags.measure)
    measured = time_networks(*runner, std::span(&spec, 1), flags.profile.profiling.database).networks[0];

  nlohmann::json layers = nlohmann::json::array();
  for (size_t i = 0; i < predicted.layers.size(); ++i) {
    const auto& [layer, p] = predicted.layers[i];
    layers.push_back({{"name", layer},
                      {"predicted_us", p.us},
                      {"low_us", p.low_us},
                      {"high_us", p.high_us},
                      {"rule", p.rule},
                      {"measured_us", measured ? nlohmann::json(measured->layer_us[i]) : nlohmann::json()}});
  }
  std::string text = chosen.note.empty() ? "" : chosen.note + "\n";
  text += table(spec, predicted, measured);
  text += fmt::format("\npredicted {:.3f} ms", predicted.total_us / 1000);
  if (measured)
    text += fmt::format(", measured {:.3f} ms: {:+.1f}%", measured->total.median_us / 1000,
                        100 * (predicted.total_us / measured->total.median_us - 1));
  text += '\n';
  print(flags.profile.profiling.common, text);
  nlohmann::json result = {{"device", device::key(chosen.model.device())}, {"layers", std::move(layers)},
                           {"predicted_ms", predicted.total_us / 1000},    {"measured_ms", nullptr},
                           {"outside_scope", warn_outside(predicted)},     {"forced", chosen.forced()}};
  if (measured) result["measured_ms"] = measured->total.median_us / 1000;
  write_result(flags.profile.profiling.common, result);
}

}  // namespace

void add_predict(CLI::App& app) {
  CLI::App* command = app.add_subcommand("predict", "Say how long a network takes on a device, and why");
  const auto flags = std::make_shared<PredictFlags>();
  auto* model = command->add_option("--model", flags->model, "A model file")->type_name("FILE");
  auto* zoo = command->add_option("--zoo", flags->zoo, "A network of the zoo")->type_name("NAME")->excludes(model);
  command->add_option("--spec", flags->spec, "A network described in a JSON file")
      ->type_name("FILE")
      ->excludes(model)
      ->excludes(zoo);
  command->add_option("--width", flags->width, "Scales the channels of a zoo network")
      ->type_name("X")
      ->capture_default_str()
      ->needs(zoo);
  command
      ->add_option("--time-model", flags->time_model,
                   "A time model's file (fit --out); the device's newest of the database unless given")
      ->type_name("FILE");
  auto* profile = command->add_flag("--profile", flags->make_model,
                                    "Where the device has no time model yet: profile it for this network, and fit one");
  for (CLI::Option* amount : add_amount(*command, flags->profile)) amount->needs(profile);
  command->add_flag("--measure", flags->measure, "Also measure each layer and the whole");
  command->add_flag("--force", flags->force, "Use a model of another or an emulated device; the output says so");
  command->footer(
      "Example:\n  fastdeepiot predict --zoo vgg16 --measure\n"
      "  fastdeepiot predict --model runs/vgg/model.safetensors --json predicted.json");
  add_profiling(*command, flags->profile.profiling, [flags] { predict(*flags); });
}

}  // namespace fdi::cli
