#include "cli/report_landscape.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "cli/time_model_choice.h"
#include "core/error.h"
#include "core/file.h"
#include "nn/model_file.h"
#include "nn/unit_groups.h"
#include "profile/store.h"

namespace fdi::cli {
namespace {

namespace fs = std::filesystem;

constexpr size_t kPanels = 4;

// RUN/model.safetensors of RUN/result.json; X.safetensors, or X itself, of X.result.json.
std::string model_file(const Run& run) {
  std::string stem = run.file;
  stem.resize(stem.rfind("result.json"));
  std::vector<std::string> names = {stem + "model.safetensors", stem + "safetensors"};
  if (stem.ends_with('.')) names.push_back(stem.substr(0, stem.size() - 1));
  for (const std::string& name : names)
    if (core::path_exists(name) && !core::is_folder(name)) return name;
  return "";
}

double layer_us(const profile::TimeModel& model, const nn::NetworkSpec& spec, const std::string& layer) {
  for (const device::Component& component : device::components(spec))
    if (component.layer.name == layer) return model.predict_us(component);
  return 0;
}

// A network whose widths can be changed, as its run left them.
struct ChosenNetwork {
  const Run* run;
  nn::NetworkSpec spec;
  nn::UnitGroups groups;
  std::vector<int> widths;
  double us_at(const profile::TimeModel& model, size_t group, int width) const {
    std::vector<int> other = widths;
    other[group] = width;
    return layer_us(model, nn::with_widths(spec, groups, other), groups.groups[group].name);
  }
};

std::vector<ChosenNetwork> read_chosen(const Experiment& experiment) {
  std::vector<ChosenNetwork> chosen;
  for (const Run* run : best_runs(experiment)) {
    const std::string file = model_file(*run);
    if (file.empty()) continue;
    nn::NetworkSpec spec = nn::load_model(file).spec;
    nn::UnitGroups groups = nn::unit_groups(spec);
    std::vector<int> widths = nn::group_counts(groups);
    if (chosen.empty() || groups.groups.size() == chosen.front().groups.groups.size())
      chosen.push_back({run, std::move(spec), std::move(groups), std::move(widths)});
  }
  return chosen;
}

// Groups in the order of what their layers take in the original.
std::vector<size_t> biggest(const ChosenNetwork& network, const profile::TimeModel& model,
                            const std::vector<int>& widths) {
  const nn::NetworkSpec original = nn::with_widths(network.spec, network.groups, widths);
  std::vector<std::pair<double, size_t>> times;
  for (size_t g = 0; g < widths.size(); ++g)
    times.emplace_back(-layer_us(model, original, network.groups.groups[g].name), g);
  std::ranges::sort(times);
  std::vector<size_t> order;
  for (const auto& [us, group] : times)
    if (order.size() < kPanels) order.push_back(group);
  std::ranges::sort(order);
  return order;
}

}  // namespace

std::optional<profile::TimeModel> landscape_model(const Experiment& experiment, const std::string& file,
                                                  const std::string& database, std::string& why) {
  const std::string& machine = experiment.runs.front().machine;
  if (!file.empty()) {
    profile::TimeModel model = read_time_model(file);
    if (device::key(model.device()) != machine)
      core::fail("--time-model {}: tells the times of {}, but the runs are of {}", file, device::key(model.device()),
                 machine);
    return model;
  }
  for (const Run& run : experiment.runs)
    if (const std::string beside = fs::path(run.file).parent_path() / "time_model.json"; core::path_exists(beside))
      if (profile::TimeModel model = read_time_model(beside); device::key(model.device()) == machine) return model;
  if (core::path_exists(database)) {
    profile::Store store(database, profile::Store::Access::kRead);
    for (const profile::Store::Device& device : store.devices())
      if (device::key(device.identity) == machine)
        if (const auto found = store.newest_model(device.identity))
          return profile::TimeModel::from_json(found->model, fmt::format("{}: model {}", database, found->id));
  }
  why = fmt::format(
      "There is no time model of this device in {}, so the time landscape is not drawn; "
      "--time-model FILE names one.",
      database);
  return std::nullopt;
}

std::optional<Picture> landscape_picture(const Experiment& experiment, const profile::TimeModel& model,
                                         std::string& why) {
  const std::vector<ChosenNetwork> chosen = read_chosen(experiment);
  if (chosen.empty()) {
    why = "The model files do not lie beside the results, so the time landscape is not drawn.";
    return std::nullopt;
  }
  const std::vector<nn::UnitGroup>& groups = chosen.front().groups.groups;
  std::vector<int> original = chosen.front().widths;
  for (size_t g = 0; g < groups.size(); ++g)
    for (const auto& [layer, units] : experiment.original.widths)
      if (layer == groups[g].name) original[g] = std::max(original[g], static_cast<int>(units));

  Picture picture{"landscape",
                  "The time landscape",
                  "What the time model predicts for the original's slowest layers at every width, the other widths "
                  "being those that the method chose: a curve and a mark for each method's best run. A mark at the "
                  "right end of a step gets its units for free; one just behind a step pays for units it lacks.",
                  {},
                  {.width = 860, .height = 680, .columns = 2}};
  for (const size_t g : biggest(chosen.front(), model, original)) {
    profile::Figure figure{.title = groups[g].name, .x = "units", .y = "predicted time (us)", .x_from_zero = true};
    for (const ChosenNetwork& network : chosen) {
      profile::Curve& line = figure.curves.emplace_back(curve_of(network.run->name, profile::Mark::kLine));
      line.name.clear();  // the mark's is enough
      for (int width = 1; width <= original[g]; ++width)
        line.points.emplace_back(width, network.us_at(model, g, width));
      profile::Curve& mark = figure.curves.emplace_back(curve_of(network.run->name, profile::Mark::kPoints));
      mark.points.emplace_back(network.widths[g], network.us_at(model, g, network.widths[g]));
    }
    picture.panels.push_back(std::move(figure));
  }
  return picture;
}

}  // namespace fdi::cli
