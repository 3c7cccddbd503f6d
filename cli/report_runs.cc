#include "cli/report_runs.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <tuple>

#include "core/error.h"
#include "core/file.h"
#include "device/measure.h"
#include "nn/spec.h"

namespace fdi::cli {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr uint64_t kMaxResultFile = 64 << 20;
constexpr const char* kExpand = "expand";  // the method that `expand` writes

// An object of a result file: what is missing or of another kind is said with the file's name.
class Fields {
 public:
  Fields(const json& object, std::string where) : object_(object), where_(std::move(where)) {
    if (!object.is_object()) core::fail("{}: is no JSON object; `fastdeepiot compress` writes such files", where_);
  }
  const json& at(const std::string& key) const {
    if (!object_.contains(key))
      core::fail("{}: has no \"{}\"; the file is cut or of something else, run `fastdeepiot compress` again", where_,
                 key);
    return object_.at(key);
  }
  double number(const std::string& key) const {
    const json& value = at(key);
    if (!value.is_number() || !std::isfinite(value.get<double>()) || value.get<double>() < 0)
      core::fail("{}: \"{}\" is {}; wanted a number, 0 or more", where_, key, value.dump());
    return value.get<double>();
  }
  std::optional<double> optional_number(const std::string& key) const {
    if (!object_.contains(key) || object_.at(key).is_null()) return std::nullopt;
    return number(key);
  }
  double positive(const std::string& key) const {
    const double value = number(key);
    if (!(value > 0)) core::fail("{}: \"{}\" is {}; wanted more than 0", where_, key, value);
    return value;
  }
  int64_t count(const std::string& key) const {
    const json& value = at(key);
    if (!value.is_number_integer() || value.get<int64_t>() < 0)
      core::fail("{}: \"{}\" is {}; wanted a whole number, 0 or more", where_, key, value.dump());
    return value.get<int64_t>();
  }
  std::string text(const std::string& key) const {
    if (!at(key).is_string()) core::fail("{}: \"{}\" is {}; wanted a text", where_, key, at(key).dump());
    return at(key).get<std::string>();
  }
  std::string optional_text(const std::string& key) const {
    return object_.contains(key) && object_.at(key).is_string() ? text(key) : "";
  }
  // A list of objects; empty where there is none.
  std::vector<Fields> list(const std::string& key) const {
    std::vector<Fields> out;
    if (!object_.contains(key) || object_.at(key).is_null()) return out;
    if (!object_.at(key).is_array()) core::fail("{}: \"{}\" is no list", where_, key);
    for (const json& item : object_.at(key)) out.emplace_back(item, fmt::format("{}: {} {}", where_, key, out.size()));
    return out;
  }
  const std::string& where() const { return where_; }

 private:
  const json& object_;
  std::string where_;
};

Widths read_widths(const Fields& fields, const std::string& key, const std::vector<LayerTime>& order) {
  Widths widths;
  for (const auto& [name, units] : fields.at(key).items()) {
    if (!units.is_number_integer() || units.get<int64_t>() < 1)
      core::fail("{}: {}: {} has {} units; wanted a whole number, 1 or more", fields.where(), key, name, units.dump());
    widths.emplace_back(name, units.get<int64_t>());
  }
  const auto place = [&](const auto& width) {
    return std::ranges::find(order, width.first, &LayerTime::name) - order.begin();
  };
  std::ranges::stable_sort(widths, {}, place);  // JSON has them by name
  return widths;
}

Design read_design(const Fields& fields, const std::string& suffix, const std::vector<LayerTime>& order) {
  Design design;
  design.accuracy = fields.optional_number("accuracy" + suffix);
  if (design.accuracy && *design.accuracy > 1)
    core::fail("{}: \"accuracy{}\" is {}; wanted 0 to 1", fields.where(), suffix, *design.accuracy);
  design.predicted_ms = fields.optional_number("predicted_ms" + suffix);
  design.measured_ms = fields.positive("measured_ms" + suffix);
  design.parameters = fields.count("parameters" + suffix);
  design.flops = fields.count("flops" + suffix);
  const auto memory = fields.optional_number("peak_memory_mb" + suffix);  // earlier versions' name of the same
  design.peak_memory_mib = memory ? *memory : fields.number("peak_memory_mib" + suffix);
  design.widths = read_widths(fields, "widths" + suffix, order);
  return design;
}

Stage read_stage(const Fields& fields) {
  Stage stage;
  stage.iteration = fields.number("iteration");
  stage.size = fields.number("size");
  stage.threshold = fields.optional_number("threshold");
  stage.predicted_ms = fields.optional_number("predicted_ms");
  for (const auto& [layer, units] : fields.at("widths").items()) {  // an object or a list
    if (!units.is_number_integer()) core::fail("{}: widths: {} is no whole number", fields.where(), units.dump());
    stage.units += units.get<int64_t>();
  }
  if (fields.at("accuracy") != -1) stage.accuracy = fields.optional_number("accuracy");  // -1: nothing to judge on
  return stage;
}

// The methods in the order of the paper's tables; others come behind.
int place_of(const std::string& name) {
  static const std::vector<std::string> known = {"DeepIoT", "DeepIoT+localMin", "DeepIoT+FLOPs", "FastDeepIoT"};
  return static_cast<int>(std::ranges::find(known, name) - known.begin());
}

// What `expand` made of a run's network: outputs are equal, so accuracy is the run's, and so is the original.
void join_expansions(std::vector<Run>& runs, bool any_machine) {
  for (Run& wide : runs) {
    if (wide.method != kExpand) continue;
    const auto base = std::ranges::find_if(runs, [&](const Run& run) {
      return run.method != kExpand && (any_machine || run.machine == wide.machine) &&
             run.result.widths == wide.original.widths;
    });
    if (base == runs.end()) continue;
    wide.method = base->method + "+localmin";
    wide.name = base->name + "+localMin";
    wide.target = base->target;
    wide.data = base->data;
    wide.original = base->original;
    wide.result.accuracy = base->result.accuracy;
    for (size_t i = 0; i < wide.layers.size() && i < base->layers.size(); ++i)
      wide.layers[i].before_us = base->layers[i].before_us;
  }
}

}  // namespace

Run run_from_json(const json& object, const std::string& where) {
  const Fields fields(object, where);
  Run run;
  run.file = where;
  run.method = fields.text("method");
  const bool widened = run.method == kExpand;  // `expand` needs no data
  run.name = widened ? run.method : fields.text("name");
  run.target = fields.optional_text("target");
  run.command = fields.text("command");
  run.machine = fields.text("machine");
  run.engine = fields.text("engine");
  run.isa = fields.text("isa");
  run.threads = fields.count("threads");
  run.seed = fields.count("seed");
  run.seconds = fields.number("seconds");
  if (!widened) run.data = Fields(fields.at("data"), where + ": data").text("name");
  for (const Fields& layer : fields.list("layers"))
    run.layers.push_back({layer.text("name"), layer.number("before_us"), layer.number("after_us")});
  run.original = read_design(fields, "_original", run.layers);
  run.result = read_design(fields, "", run.layers);
  for (const Fields& stage : fields.list("history")) run.history.push_back(read_stage(stage));
  for (const Fields& candidate : fields.list("candidates"))
    run.candidates.push_back(
        {candidate.optional_number("predicted_ms"), candidate.positive("measured_ms"), candidate.at("chosen") == true});
  return run;
}

std::vector<Run> read_runs(const std::string& folder, bool any_machine) {
  if (!core::is_folder(folder))
    core::fail("{}: is no folder; give a run of `fastdeepiot compress`, or a folder that holds several", folder);
  std::vector<std::string> files;
  const auto take = [&](const fs::path& file) {
    if (core::path_exists(file)) files.push_back(file.string());
  };
  take(fs::path(folder) / "result.json");
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
    if (core::is_folder(entry->path())) take(entry->path() / "result.json");
    if (entry->path().filename().string().ends_with(".result.json")) take(entry->path());
  }
  if (error) core::fail("{}: cannot read this folder: {}", folder, error.message());
  if (files.empty())
    core::fail("{}: holds no result.json, nor does a folder in it; `fastdeepiot compress --out {}/NAME` makes one",
               folder, folder);
  std::ranges::sort(files);
  std::vector<Run> runs;
  runs.reserve(files.size());
  for (const std::string& file : files)
    runs.push_back(run_from_json(nn::parse_json(core::read_file(file, kMaxResultFile), file), file));
  join_expansions(runs, any_machine);
  return runs;
}

std::vector<Experiment> group_runs(std::vector<Run> runs) {
  std::ranges::stable_sort(
      runs, {}, [](const Run& run) { return std::tuple(place_of(run.name), run.name, run.result.measured_ms); });
  const auto alike = [](const Run& a, const Run& b) {
    return a.machine == b.machine && a.data == b.data && a.original.accuracy == b.original.accuracy &&
           a.original.widths == b.original.widths;
  };
  std::vector<Experiment> experiments;
  for (Run& run : runs) {
    auto mine = std::ranges::find_if(experiments, [&](const Experiment& e) { return alike(e.runs.front(), run); });
    if (mine == experiments.end()) mine = experiments.insert(mine, Experiment{run.original, {}});
    mine->runs.push_back(std::move(run));
  }
  for (Experiment& experiment : experiments) {
    std::vector<double> times;
    for (const Run& run : experiment.runs) {
      times.push_back(run.original.measured_ms);
      if (!experiment.original.predicted_ms) experiment.original.predicted_ms = run.original.predicted_ms;
    }
    experiment.original.measured_ms = device::median(std::move(times));
  }
  return experiments;
}

bool keeps_accuracy(const Experiment& experiment, const Run& run) {
  return run.result.accuracy.value_or(0) >= experiment.original.accuracy.value_or(0) - kAccuracySlack;
}

std::vector<const Run*> best_runs(const Experiment& experiment) {
  std::vector<const Run*> best;
  const auto better = [&](const Run& a, const Run& b) {
    const bool a_keeps = keeps_accuracy(experiment, a), b_keeps = keeps_accuracy(experiment, b);
    if (a_keeps != b_keeps) return a_keeps;
    return a_keeps ? a.result.measured_ms < b.result.measured_ms
                   : a.result.accuracy.value_or(0) > b.result.accuracy.value_or(0);
  };
  for (const Run& run : experiment.runs) {
    if (best.empty() || best.back()->name != run.name)
      best.push_back(&run);
    else if (better(run, *best.back()))
      best.back() = &run;
  }
  return best;
}

}  // namespace fdi::cli
