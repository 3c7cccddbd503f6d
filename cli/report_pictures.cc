#include "cli/report_pictures.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <optional>

#include "cli/report_tables.h"

namespace fdi::cli {
namespace {

using profile::Curve;
using profile::Figure;
using profile::Mark;

constexpr const char* kOriginal = "Original";

double time_ms(const Run* run) { return run->result.ms(); }

// Each method's name once.
std::vector<std::string> methods(const Experiment& experiment) {
  std::vector<std::string> names;
  for (const Run& run : experiment.runs)
    if (std::ranges::find(names, run.name) == names.end()) names.push_back(run.name);
  return names;
}

Picture accuracy_picture(const Experiment& experiment, const std::string& name, const std::string& title,
                         const std::string& x, const std::function<double(const Design&)>& value) {
  Figure figure{.title = "", .x = x, .y = "test accuracy (%)", .x_from_zero = true, .y_from_zero = false};
  const auto add = [&](Curve& curve, const Design& design) {
    if (design.accuracy) curve.points.emplace_back(value(design), 100 * *design.accuracy);
  };
  figure.curves.push_back(curve_of(kOriginal, Mark::kPoints));
  add(figure.curves.back(), experiment.original);
  for (const std::string& method : methods(experiment)) {
    figure.curves.push_back(curve_of(method, Mark::kPoints));
    for (const Run& run : experiment.runs)
      if (const auto seeds = seeds_of(experiment, run); run.name == method && seeds.front() == &run)
        add(figure.curves.back(), mean_of(seeds));
  }
  std::erase_if(figure.curves, [](const Curve& curve) { return curve.points.empty(); });
  return {name, title, "", {figure}, {.width = 500, .height = 380}};
}

// For a caption: the layer that takes most time, before and after.
std::string biggest_layer(const Run& run) {
  const auto most = std::ranges::max_element(run.layers, {}, &LayerTime::before_us);
  return fmt::format("The original's slowest layer, {}, goes from {:.0f} to {:.0f} us with {}.", most->name,
                     most->before_us, most->after_us, run.name);
}

// Predicted time of each layer; those of less than a hundredth of the whole are added up in one group of bars.
Picture times_picture(const std::vector<const Run*>& runs) {
  Figure figure{.title = "", .x = "", .y = "predicted time (us)"};
  const std::vector<LayerTime>& layers = runs.front()->layers;
  double total = 0;
  for (const LayerTime& layer : layers) total += layer.before_us;
  std::vector<size_t> group(layers.size());
  for (size_t i = 0; i < layers.size(); ++i) {
    if (layers[i].before_us < 0.01 * total) continue;
    group[i] = figure.labels.size();
    figure.labels.push_back(layers[i].name);
  }
  const size_t others = figure.labels.size();
  for (size_t i = 0; i < layers.size(); ++i)
    if (layers[i].before_us < 0.01 * total) group[i] = others;
  if (std::ranges::find(group, others) != group.end()) figure.labels.emplace_back("others");
  const auto add = [&](const std::string& name, const Run& run, double LayerTime::*us) {
    Curve curve = curve_of(name, Mark::kBars);
    for (size_t i = 0; i < figure.labels.size(); ++i) curve.points.emplace_back(i, 0);
    for (size_t i = 0; i < layers.size(); ++i) curve.points[group[i]].second += run.layers[i].*us;
    figure.curves.push_back(std::move(curve));
  };
  add(kOriginal, *runs.front(), &LayerTime::before_us);
  for (const Run* run : runs)
    if (std::ranges::equal(run->layers, layers, {}, &LayerTime::name, &LayerTime::name))
      add(run->name, *run, &LayerTime::after_us);
  const Run& fastest = **std::ranges::min_element(runs, {}, time_ms);
  return {"layer_times",
          "Where the time goes",
          "Predicted time of each layer of the original and of each method's best run. " + biggest_layer(fastest),
          {figure},
          {.width = 860, .height = 420}};
}

// "DeepIoT 2, FastDeepIoT 13 of 15": widths that suit vectors and tiles.
std::string multiples(const std::vector<const Run*>& runs) {
  constexpr int kVector = 8;
  std::string text = fmt::format("Multiples of {}:", kVector);
  for (const Run* run : runs) {
    const auto even = [](const auto& width) { return width.second % kVector == 0; };
    text += fmt::format("{} {} {}", run == runs.front() ? "" : ",", run->name,
                        std::ranges::count_if(run->result.widths, even));
  }
  return text + fmt::format(" of {} layers.", runs.front()->result.widths.size());
}

Picture widths_picture(const Experiment& experiment, const std::vector<const Run*>& runs) {
  Figure figure{.title = "", .x = "", .y = "units"};
  for (const auto& [layer, units] : experiment.original.widths) figure.labels.push_back(layer);
  const auto add = [&](const std::string& name, const Design& design) {
    Curve curve = curve_of(name, Mark::kBars);
    for (size_t i = 0; i < figure.labels.size(); ++i)
      for (const auto& [layer, units] : design.widths)
        if (layer == figure.labels[i]) curve.points.emplace_back(i, units);
    figure.curves.push_back(std::move(curve));
  };
  add(kOriginal, experiment.original);
  for (const Run* run : runs) add(run->name, run->result);
  return {"widths",
          "How wide the layers are",
          "Units (channels) of each layer, before and after. " + multiples(runs),
          {figure},
          {.width = 860, .height = 420}};
}

Picture history_picture(const std::vector<const Run*>& runs) {
  // Each panel's key has a line for two methods: the picture grows by them, not the panels smaller.
  Picture picture{"history",
                  "How the search went",
                  "The searches of the best runs, stage by stage: a threshold rises, units below it go, and accuracy "
                  "and time fall until the target is met. FastDeepIoT goes on in rounds, as the saliency knapsack does "
                  "from the start: there is no threshold any more. Accuracy is that of the network before fine-tuning, "
                  "on validation images; in the search with each unit weighted by its probability of staying.",
                  {},
                  {.width = 860, .height = 560 + 40 * static_cast<int>(runs.size() / 2), .columns = 2}};
  const auto panel = [&](const char* y, const std::function<std::optional<double>(const Stage&)>& value) {
    Figure figure{.title = y, .x = "iteration", .y = ""};
    for (const Run* run : runs) {
      Curve curve = curve_of(run->name, Mark::kDots);
      for (const Stage& stage : run->history)
        if (const std::optional<double> v = value(stage)) curve.points.emplace_back(stage.iteration, *v);
      if (!curve.points.empty()) figure.curves.push_back(std::move(curve));
    }
    if (!figure.curves.empty()) picture.panels.push_back(std::move(figure));
  };
  panel("accuracy (%)", [](const Stage& s) { return s.accuracy ? std::optional(100 * *s.accuracy) : std::nullopt; });
  panel("predicted time (ms)", [](const Stage& s) { return s.predicted_ms; });
  panel("units left", [](const Stage& s) { return static_cast<double>(s.units); });
  panel("threshold", [](const Stage& s) { return s.threshold; });
  return picture;
}

}  // namespace

Curve curve_of(const std::string& method, Mark mark) {
  struct Look {
    const char *name, *color;
    int shape;
  };
  // Okabe and Ito's colours, which people who confuse red and green tell apart, and which a dark page shows, too.
  static constexpr Look kLooks[] = {{kOriginal, "#7d8590", 13},
                                    {"DeepIoT", "#0072b2", 5},
                                    {"DeepIoT+localMin", "#56b4e9", 4},
                                    {"DeepIoT+FLOPs", "#e69f00", 9},
                                    {"FastDeepIoT", "#d55e00", 7},
                                    {"", "#009e73", 11},
                                    {"", "#cc79a7", 3},
                                    {"", "#b8a800", 15}};
  const std::string plain = method.substr(0, method.find(" (predicted)"));
  size_t at = 0;
  while (at < 5 && plain != kLooks[at].name) ++at;
  if (at == 5) at += std::hash<std::string>{}(method) % 3;
  return {.name = method, .points = {}, .mark = mark, .color = kLooks[at].color, .shape = kLooks[at].shape};
}

std::vector<Picture> pictures_of(const Experiment& experiment) {
  std::vector<Picture> pictures;
  const std::vector<const Run*> best = best_runs(experiment);
  const auto ms = [](const Design& d) { return d.ms(); };
  const auto mega = [](const Design& d) { return static_cast<double>(d.parameters) / 1e6; };
  const Run& fastest = **std::ranges::min_element(best, {}, time_ms);
  const Run& smallest = **std::ranges::min_element(best, {}, [](const Run* r) { return r->result.parameters; });
  Picture time = accuracy_picture(experiment, "accuracy_time", "Accuracy against time",
                                  experiment.original.measured_ms ? "measured time (ms)" : "predicted time (ms)", ms);
  time.caption = fmt::format(
      "{} time of one image; up and to the left is better. The fastest is {}, {:.3f} ms; the original takes {:.3f} ms.",
      experiment.original.measured_ms ? "Measured" : "Predicted", fastest.name,
      mean_of(seeds_of(experiment, fastest)).ms(), experiment.original.ms());
  Picture size = accuracy_picture(experiment, "accuracy_size", "Accuracy against size", "parameters (millions)", mega);
  size.caption = fmt::format(
      "The same networks by their parameters. The smallest of the best runs, {}, has {}, the original {}.{}",
      smallest.name, in_millions(smallest.result.parameters), in_millions(experiment.original.parameters),
      &smallest == &fastest ? "" : " It is not the fastest.");
  for (Picture* picture : {&time, &size})
    if (!picture->panels[0].curves.empty()) pictures.push_back(std::move(*picture));
  std::vector<const Run*> with_layers, with_history;
  std::ranges::copy_if(best, std::back_inserter(with_layers), [](const Run* r) { return !r->layers.empty(); });
  std::ranges::copy_if(best, std::back_inserter(with_history), [](const Run* r) { return !r->history.empty(); });
  if (!with_layers.empty()) pictures.push_back(times_picture(with_layers));
  pictures.push_back(widths_picture(experiment, best));
  if (!with_history.empty()) pictures.push_back(history_picture(with_history));
  return pictures;
}

}  // namespace fdi::cli
