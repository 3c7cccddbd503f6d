#include "cli/time_model_choice.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <nlohmann/json.hpp>

#include "cli/terminal.h"
#include "core/error.h"
#include "core/file.h"
#include "core/text.h"
#include "core/threads.h"
#include "device/component.h"
#include "kernels/isa.h"
#include "nn/model_file.h"

namespace fdi::cli {
namespace {

// "gru, lstm": the network's ops, or those that the model does not know.
std::string ops_of(const nn::NetworkSpec& network, const profile::TimeModel* but = nullptr) {
  std::vector<nn::Op> ops;
  for (const device::Component& c : device::components(network))
    if ((but == nullptr || !but->covers(c.layer.op)) && std::ranges::find(ops, c.layer.op) == ops.end())
      ops.push_back(c.layer.op);
  std::string names;
  for (const nn::Op op : ops) names += fmt::format("{}{}", names.empty() ? "" : ", ", nn::op_name(op));
  return names;
}

profile::TimeModel read_model(const std::string& file, const nn::NetworkSpec& network) {
  profile::TimeModel model = read_time_model(file);
  const std::string unknown = ops_of(network, &model);
  if (!unknown.empty())
    core::fail(
        "{}: knows no times of {}, which this network needs; run `fastdeepiot profile --for` with it and fit anew",
        file, unknown);
  return model;
}

// The device's newest model that covers `network`; where none does, the newest of all.
std::optional<profile::TimeModel> newest_model(const std::string& path, const device::Identity& device,
                                               const nn::NetworkSpec& network) {
  if (!core::path_exists(path)) return std::nullopt;
  profile::Store store(path, profile::Store::Access::kRead);
  const std::optional<profile::Store::Device> known = store.find_device(device);
  if (!known) return std::nullopt;
  std::vector<profile::Store::Model> models = store.models(known->id);
  std::optional<profile::TimeModel> newest;
  for (auto m = models.rbegin(); m != models.rend(); ++m) {
    auto model = profile::TimeModel::from_json(m->model, fmt::format("{}: model {}", path, m->id));
    if (ops_of(network, &model).empty()) return model;
    if (!newest) newest = std::move(model);
  }
  return newest;
}

}  // namespace

profile::TimeModel read_time_model(const std::string& file) {
  constexpr uint64_t kMaxModelFile = 64 << 20;
  return profile::TimeModel::from_json(nn::parse_json(core::read_file(file, kMaxModelFile), file), file);
}

void add_timing(CLI::App& command, TimingOptions& options) {
  const auto add = [&](const char* name, auto& value, const char* type, const char* help) {
    return command.add_option(name, value, help)->type_name(type)->group("Timing");
  };
  add("--engine", options.engine, "NAME", "Whose kernels are timed: native, onednn, xnnpack")->capture_default_str();
  add("--time-threads", options.threads, "N", "Threads of the networks that are timed")->capture_default_str();
  add("--time-isa", options.isa, "NAME",
      "Instruction set of native networks that are timed; that of --isa unless given");
  add("--time-model", options.model, "FILE",
      "A time model's file (fit --out); the device's newest of the database unless given");
  add("--db", options.database, "FILE",
      "The database; unless given FASTDEEPIOT_DB or ~/.local/share/fastdeepiot/fastdeepiot.db");
  command.add_flag("--force", options.force, "Use a model of another or an emulated device; the output says so")
      ->group("Timing");
}

AsTimed::AsTimed(const TimingOptions& options) : before_{core::threads(), kernels::isa()}, database_(options.database) {
  const bool as_it_is = options.engine == "native" && options.isa.empty();
  runner_ = profile::make_runner("local", {options.engine, as_it_is ? before_.isa : options.isa, options.threads});
  warn_if_too_many(options.threads);
}

AsTimed::Restore::~Restore() {
  core::set_threads(threads);
  kernels::set_isa(isa);
}

std::vector<profile::NetworkTiming> AsTimed::time(std::span<const nn::NetworkSpec> networks) const {
  return time_networks(*runner_, networks, database_).networks;
}

std::optional<ChosenTimeModel> find_time_model(const TimingOptions& options, const device::Identity& device,
                                               const nn::NetworkSpec& network) {
  std::optional<profile::TimeModel> found = options.model.empty()
                                                ? newest_model(store_path(options.database), device, network)
                                                : read_model(options.model, network);
  if (!found) return std::nullopt;
  return accept_time_model(std::move(*found), options, device, network);
}

std::optional<ChosenTimeModel> accept_time_model(profile::TimeModel model, const TimingOptions& options,
                                                 const device::Identity& device, const nn::NetworkSpec& network) {
  if (!ops_of(network, &model).empty()) return std::nullopt;
  ChosenTimeModel chosen{std::move(model), ""};
  const device::Identity& of = chosen.model.device();
  if (of.emulated)
    chosen.note = fmt::format("model of an EMULATED device ({}): its times mean nothing", device::key(of));
  else if (device::key(of) != device::key(device))
    chosen.note = fmt::format("model of ANOTHER DEVICE: {}, not {}", device::key(of), device::key(device));
  if (chosen.forced() && !options.force) core::fail("{}; --force takes it all the same", chosen.note);
  return chosen;
}

std::optional<ChosenTimeModel> take_kept_model(profile::Runner& runner, const TimingOptions& options,
                                               const nn::NetworkSpec& network) {
  nlohmann::json kept;
  std::optional<profile::TimeModel> model;
  try {
    kept = runner.kept_model();
    if (kept.is_null()) return std::nullopt;
    model = profile::TimeModel::from_json(kept, "its file");
    if (const std::string unknown = ops_of(network, &*model); !unknown.empty())
      core::fail("it knows no times of {}", unknown);
    if (device::key(model->device()) != device::key(runner.identity()))
      core::fail("it is of {}", device::key(model->device()));
  } catch (const core::Error& e) {
    note("the model that the device keeps is left out: {}", e.what());
    return std::nullopt;
  }
  try {
    const std::string database = store_path(options.database);
    const int64_t id = profile::Store(database).add_model(model->device(), kept);
    note("the device keeps a time model: it is model {} in {} now", id, database);
  } catch (const core::Error& e) {
    note("the device keeps a time model, which is used, but not stored in the database: {}", e.what());
  }
  return accept_time_model(std::move(*model), options, runner.identity(), network);
}

void fail_no_time_model(const TimingOptions& options, const device::Identity& device, const nn::NetworkSpec& network,
                        const std::string& name, const std::string& where) {
  std::string flags;
  if (where != "local") flags += " --device " + core::shell_word(where);
  if (options.engine != "native") flags += " --engine " + options.engine;
  if (!options.isa.empty()) flags += " --isa " + options.isa;
  if (options.threads != 1) flags += fmt::format(" --threads {}", options.threads);
  if (!options.database.empty()) flags += " --db " + core::shell_word(options.database);
  const std::string path = store_path(options.database);
  const std::optional<profile::TimeModel> newest = newest_model(path, device, network);
  core::fail(
      "{}: no time model of {} in {}{}; run `fastdeepiot profile --for {}{}`, then `fastdeepiot fit{}`, or give "
      "--time-model FILE",
      device::key(device), ops_of(network, newest ? &*newest : nullptr), path, other_devices(path, device), name, flags,
      flags);
}

std::vector<std::string> outside_scope(const profile::NetworkPrediction& prediction) {
  std::vector<std::string> outside;
  for (const auto& [layer, p] : prediction.layers)
    if (!p.outside.empty()) outside.push_back(layer + ": " + p.outside);
  return outside;
}

std::vector<std::string> warn_outside(const profile::NetworkPrediction& prediction) {
  std::vector<std::string> outside = outside_scope(prediction);
  for (const std::string& what : outside) note("outside what was sampled: {}", what);
  return outside;
}

}  // namespace fdi::cli
