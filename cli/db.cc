// `fastdeepiot db list|show|export|import|remove`: what is in the database of devices, runs and models.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/profiling.h"
#include "core/error.h"
#include "core/file.h"
#include "core/text.h"

namespace fdi::cli {
namespace {

using profile::Store;

struct DbFlags {
  ProfilingOptions profiling;
  std::string file;
  int64_t device = 0, run = 0, model = 0;
};

// "a sweep of conv2d, in_channel,out_channel=1..128, "; empty of a profile.
std::string sweep_text(const nlohmann::json& request) {
  if (!request.contains("sweep")) return "";
  const nlohmann::json& sweep = request["sweep"];
  const auto text = [](const nlohmann::json& value) {
    return value.is_string() ? core::printable(value.get<std::string>()) : "";
  };
  std::string what = sweep.contains("layer") && sweep["layer"].is_object() && sweep["layer"].contains("op")
                         ? text(sweep["layer"]["op"])
                         : "";
  if (sweep.contains("vary") && sweep["vary"].is_array())
    for (const nlohmann::json& vary : sweep["vary"]) what += ", " + text(vary);
  else
    what = "the layers of Table 1";
  return "a sweep of " + what + ", ";
}

std::string run_line(const Store::Run& run) {
  return fmt::format("run {}: {}{} jobs, {} readings, cache {}, seed {}, begun {}, {}", run.id, sweep_text(run.request),
                     run.jobs, run.readings, core::printable(run.request.value("cache", "?")),
                     run.request.value("seed", uint64_t{0}), run.started,
                     run.finished.empty() ? "not finished" : "finished " + run.finished);
}

Store open(const DbFlags& flags, Store::Access access) { return Store(store_path(flags.profiling.database), access); }

nlohmann::json device_json(Store& store, const Store::Device& d) {
  nlohmann::json runs = nlohmann::json::array(), models = nlohmann::json::array();
  for (const Store::Run& r : store.runs(d.id))
    runs.push_back({{"id", r.id},
                    {"jobs", r.jobs},
                    {"readings", r.readings},
                    {"started", r.started},
                    {"finished", r.finished},
                    {"request", r.request}});
  for (const Store::Model& m : store.models(d.id)) models.push_back({{"id", m.id}, {"created", m.created}});
  return {{"id", d.id},
          {"key", device::key(d.identity)},
          {"identity", device::identity_to_json(d.identity)},
          {"runs", std::move(runs)},
          {"models", std::move(models)}};
}

// 0: the only one there is.
Store::Device device_of(Store& store, int64_t id) {
  std::vector<Store::Device> devices = store.devices();
  if (id == 0 && devices.size() == 1) return std::move(devices[0]);
  for (Store::Device& d : devices)
    if (d.id == id) return std::move(d);
  if (id == 0) core::fail("which of {} devices? `fastdeepiot db list` gives their numbers", devices.size());
  core::fail("there is no device {}; `fastdeepiot db list` shows what there is", id);
}

void list(const DbFlags& flags) {
  Store store = open(flags, Store::Access::kRead);
  std::string text;
  nlohmann::json devices = nlohmann::json::array();
  for (const Store::Device& d : store.devices()) {
    text += fmt::format("device {}: {}\n", d.id, device::key(d.identity));
    for (const Store::Run& run : store.runs(d.id)) text += "  " + run_line(run) + "\n";
    for (const Store::Model& m : store.models(d.id)) text += fmt::format("  model {}: fitted {}\n", m.id, m.created);
    devices.push_back(device_json(store, d));
  }
  if (text.empty())
    text = fmt::format("{}: empty; `fastdeepiot profile` measures a device\n",
                       core::printable(store_path(flags.profiling.database)));
  print(flags.profiling.common, text);
  write_result(flags.profiling.common, devices);
}

void show(const DbFlags& flags) {
  Store store = open(flags, Store::Access::kRead);
  const Store::Device d = device_of(store, flags.device);
  std::string text = fmt::format("device {}: {}\n", d.id, device::key(d.identity));
  for (const Store::Run& run : store.runs(d.id)) {
    text += "  " + run_line(run) + "\n";
    std::map<std::string, int> ops;
    for (const device::Job& job : store.jobs(run.id))
      for (const device::Component& c : device::components(job)) ++ops[std::string(nn::op_name(c.layer.op))];
    for (const auto& [op, n] : ops) text += fmt::format("    {} {}\n", n, op);
  }
  const std::vector<Store::Model> models = store.models(d.id);
  nlohmann::json json = device_json(store, d);
  if (!models.empty()) {
    const auto model = profile::TimeModel::from_json(models.back().model, store_path(flags.profiling.database));
    text += fmt::format("  model {}, fitted {}:\n{}", models.back().id, models.back().created, model.rules());
    json["model"] = models.back().model;
  }
  print(flags.profiling.common, text);
  write_result(flags.profiling.common, json);
}

void export_to(const DbFlags& flags) {
  check_writable(flags.file);
  Store store = open(flags, Store::Access::kRead);
  if (!flags.file.ends_with(".csv")) {
    core::write_file_atomically(flags.file, store.export_json(flags.device, flags.run).dump(1) + "\n");
    return;
  }
  const std::vector<Store::Device> devices = store.devices();
  int64_t device = flags.device;
  for (const Store::Run& run : store.runs(0))
    if (device == 0 && run.id == flags.run) device = run.device;
  if (device == 0 && devices.size() != 1)
    core::fail("{}: a table holds one device, the database {}; say which with --device-id", flags.file, devices.size());
  const profile::SampleSet set = stored_samples(store, device == 0 ? devices[0] : device_of(store, device), flags.run);
  if (set.samples.empty())
    core::fail("{}: the device has no samples{}; `fastdeepiot db list` shows what there is", flags.file,
               flags.run == 0 ? "" : fmt::format(" of run {}", flags.run));
  profile::write_samples_csv(flags.file, set);
}

void import_from(const DbFlags& flags) {
  if (flags.file.ends_with(".csv"))
    core::fail("{}: a table of samples has no readings for a database; `fastdeepiot fit --samples` reads it",
               flags.file);
  const nlohmann::json json = nn::parse_json(core::read_file(flags.file, uint64_t{1} << 30), flags.file);
  Store store = open(flags, Store::Access::kMake);
  const Store::Imported imported = store.import_json(json, flags.file);
  print(flags.profiling.common, fmt::format("{} runs read, {} new readings, {} new models\n", imported.runs,
                                            imported.readings, imported.models));
}

void remove(const DbFlags& flags) {
  const int given = (flags.device != 0) + (flags.run != 0) + (flags.model != 0);
  if (given != 1)
    core::fail("db remove: give one of --device-id N, --run N, --model N; `fastdeepiot db list` shows them");
  Store store = open(flags, Store::Access::kWrite);
  if (flags.device != 0) store.remove(Store::Kind::kDevice, flags.device);
  if (flags.run != 0) store.remove(Store::Kind::kRun, flags.run);
  if (flags.model != 0) store.remove(Store::Kind::kModel, flags.model);
}

CLI::App& add(CLI::App& db, const char* name, const char* description, const char* example,
              const std::shared_ptr<DbFlags>& flags, void (*work)(const DbFlags&)) {
  CLI::App& command = *db.add_subcommand(name, description);
  command.footer(fmt::format("Example:\n  fastdeepiot db {}", example));
  add_database(command, flags->profiling);
  command.callback([flags, work] { work(*flags); });
  return command;
}

void add_json(CLI::App& command, const std::shared_ptr<DbFlags>& flags) {
  command.add_option("--json", flags->profiling.common.json, "Write the result to FILE; - is standard output")
      ->type_name("FILE");
}

}  // namespace

void add_db(CLI::App& app) {
  CLI::App& db = *app.add_subcommand("db", "Show and move what was measured and learnt");
  db.require_subcommand(1);
  db.footer("Example:\n  fastdeepiot db list\n  fastdeepiot db export board.json --device-id 2");
  const auto flags = std::make_shared<DbFlags>();
  add_json(add(db, "list", "Devices, their runs and models", "list", flags, list), flags);

  CLI::App& showing = add(db, "show", "One device: its runs and the rules of its newest model", "show 2", flags, show);
  showing.add_option("device", flags->device, "Its number in db list; not needed where there is one device");
  add_json(showing, flags);

  CLI::App& exporting =
      add(db, "export", "Write all, one device or one run to a file",
          "export board.json --device-id 2\n  fastdeepiot db export samples.csv --run 3", flags, export_to);
  exporting.add_option("file", flags->file, "FILE.json for `db import`, or FILE.csv: samples of one device")
      ->required();
  exporting.add_option("--device-id", flags->device, "Only this device")->type_name("N");
  exporting.add_option("--run", flags->run, "Only this run, without models")->type_name("N");

  CLI::App& importing = add(db, "import", "Take in what was exported elsewhere; nothing here is replaced",
                            "import board.json", flags, import_from);
  importing.add_option("file", flags->file, "FILE.json")->required();

  CLI::App& removing = add(db, "remove", "Remove a device, a run or a model, with all that belongs to it",
                           "remove --run 3", flags, remove);
  removing.add_option("--device-id", flags->device, "A device")->type_name("N");
  removing.add_option("--run", flags->run, "A run")->type_name("N");
  removing.add_option("--model", flags->model, "A model")->type_name("N");
}

}  // namespace fdi::cli
