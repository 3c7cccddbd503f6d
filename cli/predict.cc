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
#include "nn/summary.h"
#include "profile/sampler.h"
#include "profile/statistics.h"

namespace fdi::cli {
namespace {

struct PredictFlags {
  ProfileFlags profile;  // of a device that has no model yet
  std::string model, zoo, spec, time_model;
  double width = 1;
  std::optional<int> narrowed;
  bool measure = false, force = false, make_model = false;
};

// A device that has no model is profiled, here for the layers of one network.
profile::TimeModel make_model(const PredictFlags& flags, profile::Runner& runner, const nn::NetworkSpec& network) {
  ProfileFlags asked = flags.profile;
  asked.specs = {network};
  profile_device(asked, runner);
  const std::string database = store_path(flags.profile.profiling.database);
  profile::Store store(database, profile::Store::Access::kRead);
  profile::FitOptions options;
  options.seed = flags.profile.profiling.common.seed;
  const profile::SampleSet set = stored_samples(store, store.find_device(runner.identity()).value());
  return fit_model(set, options, flags.force, database, &runner).model;
}

// The paper's section 4.3: the database is asked for a model, then the device; only then is it profiled.
ChosenTimeModel choose_model(const PredictFlags& flags, profile::Runner& runner, const nn::NetworkSpec& network,
                             const std::string& name) {
  const ProfilingOptions& p = flags.profile.profiling;
  const TimingOptions timing{p.engine, p.common.isa, p.common.threads, flags.time_model, p.database, flags.force};
  auto found = find_time_model(timing, runner.identity(), network);
  if (!found) found = take_kept_model(runner, timing, network);
  if (!found && flags.make_model)
    found = accept_time_model(make_model(flags, runner, network), timing, runner.identity(), network);
  if (!found) fail_no_time_model(timing, runner.identity(), network, name, p.device);
  return std::move(*found);
}

double error_of(double predicted_us, double measured_us) { return predicted_us / measured_us - 1; }

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
      compared = fmt::format("{:>11.2f} {:>+6.1f}%", us, 100 * error_of(p.us, us));
    else if (measured)
      compared = fmt::format("{:>11} {:>7}", "none", "");  // nothing to do for this engine
    text += fmt::format("{:<{}} {:>11.2f} {:>11.2f} {:>11.2f} {}  {:>4}\n", layer, width, p.us, p.low_us, p.high_us,
                        compared, number + 1);
  }
  text += "\nrules\n";
  for (size_t i = 0; i < rules.size(); ++i) text += core::wrapped(fmt::format("{:>4}  {}", i + 1, rules[i]), 8) + "\n";
  return text;
}

// How well the model tells the totals of networks that it has not seen: `spec` narrowed at random, measured in turn.
void predict_narrowed(const PredictFlags& flags, profile::Runner& runner, const ChosenTimeModel& chosen,
                      const nn::NetworkSpec& spec) {
  const ProfilingOptions& p = flags.profile.profiling;
  const std::vector<nn::NetworkSpec> specs = profile::narrowed_at_random(spec, *flags.narrowed, p.common.seed);
  std::vector<profile::NetworkTiming> measured;
  if (flags.measure) measured = time_networks(runner, specs, p.database).networks;
  std::string text = chosen.note.empty() ? "" : chosen.note + "\n";
  text += fmt::format("network      MFLOP  parameters   predicted{}\n", flags.measure ? "     measured   error" : "");
  nlohmann::json networks = nlohmann::json::array();
  std::vector<double> errors;
  for (size_t i = 0; i < specs.size(); ++i) {
    const profile::NetworkPrediction predicted = profile::predict_network(chosen.model, specs[i]);
    const nn::Summary cost = nn::summarize(specs[i]);
    const std::vector<std::string> outside = outside_scope(predicted);
    text += fmt::format("{:>7} {:>10.2f} {:>11} {:>8.3f} ms", i + 1, static_cast<double>(cost.flops) / 1e6,
                        cost.parameters, predicted.total_us / 1000);
    networks.push_back({{"network", nn::spec_to_json(specs[i])},
                        {"predicted_ms", predicted.total_us / 1000},
                        {"measured_ms", nullptr},
                        {"outside_scope", outside}});
    if (flags.measure) {
      const double us = measured[i].total.median_us, error = error_of(predicted.total_us, us);
      text += fmt::format(" {:>9.3f} ms {:>+6.1f}%", us / 1000, 100 * error);
      networks.back()["measured_ms"] = us / 1000;
      errors.push_back(std::abs(error));
    }
    text += outside.empty() ? "\n" : "  outside what was sampled\n";
  }
  nlohmann::json result = {
      {"device", device::key(chosen.model.device())}, {"networks", std::move(networks)}, {"forced", chosen.forced()}};
  if (!errors.empty()) {
    const double median = profile::median(errors), worst = *std::ranges::max_element(errors);
    text += fmt::format("error of {} totals: {:.1f}% in the median, {:.1f}% at worst\n", errors.size(), 100 * median,
                        100 * worst);
    result["median_error"] = median;
    result["worst_error"] = worst;
  }
  print(p.common, text);
  write_result(p.common, result);
}

void predict(const PredictFlags& flags) {
  if (flags.narrowed && (*flags.narrowed < 1 || *flags.narrowed > 100))
    core::fail("--narrowed {}: wanted 1 to 100", *flags.narrowed);
  if (flags.model.empty() && flags.zoo.empty() && flags.spec.empty())
    core::fail("which network? give --model FILE, --zoo NAME or --spec FILE; see fastdeepiot predict --help");
  const std::string name = !flags.model.empty() ? core::shell_word(flags.model)  // as --for has it
                           : flags.zoo.empty()  ? core::shell_word(flags.spec)
                           : flags.width == 1   ? flags.zoo
                                                : fmt::format("{} --width {}", flags.zoo, flags.width);
  const nn::NetworkSpec spec = flags.model.empty() ? choose_network(flags.zoo, flags.spec, flags.width, {}, 0)
                                                   : nn::load_model(flags.model).spec;
  const std::unique_ptr<profile::Runner> runner = make_runner(flags.profile.profiling);
  const ChosenTimeModel chosen = choose_model(flags, *runner, spec, name);
  warn_if_noisy(chosen.model, device::components(spec));
  if (flags.narrowed) return predict_narrowed(flags, *runner, chosen, spec);
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
                        100 * error_of(predicted.total_us, measured->total.median_us));
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
  command
      ->add_option("--narrowed", flags->narrowed,
                   "Instead of the network itself: the totals of N networks, it with its layers narrowed at random")
      ->type_name("N");
  command->add_flag("--measure", flags->measure, "Also measure each layer and the whole");
  command->add_flag("--force", flags->force, "Use a model of another or an emulated device; the output says so");
  command->footer(
      "Example:\n  fastdeepiot predict --zoo vgg16 --measure\n"
      "  fastdeepiot predict --zoo vgg16 --narrowed 20 --measure   # how good the model is for networks like it\n"
      "  fastdeepiot predict --model runs/vgg/model.safetensors --json predicted.json");
  add_profiling(*command, flags->profile.profiling, [flags] { predict(*flags); });
}

}  // namespace fdi::cli
