#include "cli/report_runs.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "cli/terminal.h"
#include "cli/time_model_choice.h"
#include "core/error.h"
#include "core/file.h"
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
  if (!fields.at("measured_ms" + suffix).is_null() || !design.predicted_ms)
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

// The run whose network was widened: known by its digest, in results that lack them by its widths, if no other run has
// the same. Null: there is none, or it is not known which.
const Run* base_of(const Run& wide, const std::vector<Run>& runs, bool any_machine) {
  const Run* base = nullptr;
  int fitting = 0;
  for (const Run& run : runs) {
    if (run.method == kExpand || !(any_machine || run.machine == wide.machine)) continue;
    if (!wide.base_digest.empty() && !run.digest.empty()) {
      if (run.digest == wide.base_digest) return &run;
    } else if (run.result.widths == wide.original.widths) {
      base = &run;
      ++fitting;
    }
  }
  if (fitting > 1) note("{}: {} runs have the widths that it began with; it is shown by itself", wide.file, fitting);
  return fitting == 1 ? base : nullptr;
}

// What `expand` made of a run's network: outputs are equal, so accuracy is the run's, and so is the original.
void join_expansions(std::vector<Run>& runs, bool any_machine) {
  std::vector<std::pair<Run*, const Run*>> pairs;
  for (Run& wide : runs)
    if (wide.method == kExpand)
      if (const Run* base = base_of(wide, runs, any_machine)) pairs.emplace_back(&wide, base);
  for (const auto& [wide, base] : pairs) {
    wide->method = base->method + "+localmin";
    wide->name = base->name + "+localMin";
    wide->target = base->target;
    wide->data = base->data;
    wide->settings = base->settings;
    if (!base->recipe.empty()) wide->recipe = base->recipe + wide->expansion;
    wide->seed = base->seed;
    wide->original = base->original;
    wide->result.accuracy = base->result.accuracy;
    for (size_t i = 0; i < wide->layers.size() && i < base->layers.size(); ++i)
      wide->layers[i].before_us = base->layers[i].before_us;
  }
}

// "cifar10", "cifar10, 1000 images of each split".
std::string data_name(const Fields& data) {
  const double limit = data.optional_number("limit").value_or(0);
  return data.text("name") + (limit > 0 ? fmt::format(", {:g} images of each split", limit) : "");
}

std::string without(json object, std::initializer_list<const char*> keys) {
  for (const char* key : keys) object.erase(key);
  return object.dump();
}

// The recipe but its seeds; empty where the result has none.
std::string read_recipe(const json& result) {
  if (!result.contains("recipe") || !result["recipe"].is_object()) return "";
  json recipe = result["recipe"];
  for (json& part : recipe)
    if (part.is_object()) part.erase("seed");
  return recipe.dump();
}

std::string read_expansion(const json& result) {
  json how = json::object();
  for (const char* key : {"expand", "verify", "time_model"})
    if (result.contains(key)) how[key] = result[key];
  return how.dump();
}

// Older results of a run by another device's time model name the machine that it was made on; the model, which lies
// beside them, says whose the times are.
void correct_device(Run& run, const json& result) {
  const bool knows =
      result.contains("recipe") && result["recipe"].is_object() && result["recipe"].contains("choose_by");
  const std::string model = (fs::path(run.file).parent_path() / "time_model.json").string();
  if (!run.forced || knows || run.method == kExpand || !core::path_exists(model)) return;
  const device::Identity device = read_time_model(model).device();
  run.machine = device::key(device);
  run.engine = device.engine;
  run.isa = device.isa;
  run.threads = device.threads;
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
  if (!widened) {
    const Fields data(fields.at("data"), where + ": data");
    run.data = data_name(data);
    run.settings = without(fields.at("data"), {"method"});
  }
  run.recipe = read_recipe(object);
  if (widened) run.expansion = read_expansion(object);
  run.missed = fields.optional_text("missed");
  run.digest = fields.optional_text("model_digest");
  run.base_digest = fields.optional_text("base_digest");
  run.forced = object.contains("forced") && object["forced"] == true;
  for (const Fields& layer : fields.list("layers"))
    run.layers.push_back({layer.text("name"), layer.number("before_us"), layer.number("after_us")});
  run.original = read_design(fields, "_original", run.layers);
  run.result = read_design(fields, "", run.layers);
  for (const Fields& stage : fields.list("history")) run.history.push_back(read_stage(stage));
  for (const Fields& candidate : fields.list("candidates"))
    run.candidates.push_back(
        {candidate.optional_number("predicted_ms"), candidate.positive("measured_ms"), candidate.at("chosen") == true});
  if (run.forced && run.result.predicted_ms && run.original.predicted_ms) {  // older results have the wrong clock's
    run.result.measured_ms.reset();
    run.original.measured_ms.reset();
    run.candidates.clear();
  }
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
  for (const std::string& file : files) {
    const json object = nn::parse_json(core::read_file(file, kMaxResultFile), file);
    if (object.is_object() && !object.contains("method")) {
      note("{}: is left out: it has no \"method\", so neither compress nor expand wrote it", file);
      continue;
    }
    correct_device(runs.emplace_back(run_from_json(object, file)), object);
  }
  if (runs.empty()) core::fail("{}: holds no result of `fastdeepiot compress` or `expand`", folder);
  join_expansions(runs, any_machine);
  return runs;
}

}  // namespace fdi::cli
