// The store as text, for another machine's: export and import.
#include <algorithm>
#include <set>

#include "core/text.h"
#include "profile/store_statement.h"

namespace fdi::profile {
namespace {

using nlohmann::json;

constexpr int kTextVersion = 1;  // of the text

// The members by which a run is shown and chosen; what else a request holds only tells it from others.
void check_request(const json& request, const std::string& where) {
  const auto is = [&](const char* key, bool (json::*kind)() const noexcept) {
    return !request.contains(key) || (request[key].*kind)();
  };
  if (!request.is_object() || !is("cache", &json::is_string) || !is("seed", &json::is_number) ||
      !is("stopwatch", &json::is_number) || !is("sweep", &json::is_object))
    core::fail("{}: a run's \"request\" is none: {}", where,
               request.dump(-1, ' ', true, json::error_handler_t::replace).substr(0, 100));
}

}  // namespace

json Store::export_json(int64_t device, int64_t only_run) {
  json out = {{"fastdeepiot_db", kTextVersion}, {"devices", json::array()}};
  for (const Device& d : devices()) {
    if (device != 0 && d.id != device) continue;
    json runs_json = json::array(), models_json = json::array();
    for (const Run& run : runs(d.id)) {
      if (only_run != 0 && run.id != only_run) continue;
      json jobs_json = json::array(), readings_json = json::array();
      for (const device::Job& job : jobs(run.id)) jobs_json.push_back(device::job_to_json(job));
      for (const PassReading& r : readings(run.id))
        readings_json.push_back({{"job", r.job}, {"pass", r.pass}, {"reading", device::reading_to_json(r.reading)}});
      runs_json.push_back({{"request", run.request},
                           {"started", run.started},
                           {"finished", run.finished},
                           {"jobs", std::move(jobs_json)},
                           {"readings", std::move(readings_json)}});
    }
    if (only_run != 0 && runs_json.empty()) continue;
    for (const Model& m : only_run != 0 ? std::vector<Model>() : models(d.id))
      models_json.push_back({{"created", m.created}, {"model", m.model}});
    out["devices"].push_back({{"identity", device::identity_to_json(d.identity)},
                              {"runs", std::move(runs_json)},
                              {"models", std::move(models_json)}});
  }
  if (only_run != 0 && out["devices"].empty())
    core::fail("{}: has no run {}{}; `fastdeepiot db list` shows what there is", path_, only_run,
               device == 0 ? "" : fmt::format(" of device {}", device));
  if (device != 0 && out["devices"].empty())
    core::fail("{}: has no device {}; `fastdeepiot db list` shows what there is", path_, device);
  return out;
}

Store::Imported Store::import_json(const json& object, const std::string& where) {
  if (!object.is_object() || !object.contains("fastdeepiot_db"))
    core::fail("{}: is no export of a database; `fastdeepiot db export` writes one", where);
  if (object["fastdeepiot_db"] != kTextVersion)
    core::fail("{}: was written by another version of fastdeepiot ({}, this one reads {})", where,
               object["fastdeepiot_db"].dump(), kTextVersion);
  check();
  Imported imported;
  Transaction transaction(*this);
  try {
    for (const json& d : object.at("devices")) {
      const device::Identity identity = device::identity_from_json(d.at("identity"), where);
      for (const json& r : d.at("runs")) {
        check_request(r.at("request"), where);
        const Run run = open_run(identity, r.at("request"));
        std::vector<device::Job> theirs;
        for (const json& job : r.at("jobs")) theirs.push_back(device::job_from_json(job, where));
        const std::vector<device::Job> ours = jobs(run.id);
        const size_t common = std::min(ours.size(), theirs.size());
        if (!std::equal(ours.begin(), ours.begin() + static_cast<std::ptrdiff_t>(common), theirs.begin()))
          core::fail("{}: a run is there already with other jobs (run {}); remove one of them", where, run.id);
        Statement insert(*this, "INSERT INTO jobs VALUES (?, ?, ?)");
        for (size_t i = ours.size(); i < theirs.size(); ++i)
          insert.bind(run.id).bind(static_cast<int64_t>(i)).bind(device::job_to_json(theirs[i]).dump()).run();
        std::set<std::pair<size_t, int>> there;
        for (const PassReading& reading : readings(run.id)) there.emplace(reading.job, reading.pass);
        for (const json& item : r.at("readings")) {
          const PassReading reading{item.at("job").get<size_t>(), item.at("pass").get<int>(),
                                    device::reading_from_json(item.at("reading"), where)};
          if (reading.job >= theirs.size())
            core::fail("{}: a reading is of job {}, but its run has {}", where, reading.job, theirs.size());
          if (!there.emplace(reading.job, reading.pass).second) continue;
          keep(run.id, reading);
          ++imported.readings;
        }
        if (run.finished.empty() && !r.at("finished").get<std::string>().empty()) finish_run(run.id);
        ++imported.runs;
      }
      const std::optional<Model> newest = newest_model(identity);
      const int64_t device = device_id(identity);
      std::string last;  // of the new ones, when it was fitted
      for (const json& m : d.at("models")) {
        const std::string created = core::printable(m.at("created").get<std::string>());
        Statement(*this, "INSERT OR IGNORE INTO models (device, created, model) VALUES (?, ?, ?)")
            .bind(device)
            .bind(created)
            .bind(m.at("model").dump())
            .run();
        if (sqlite3_changes(db_) == 0) continue;
        ++imported.models;
        last = created;
      }
      // Numbers rank models; of two machines' only the dates tell which one was fitted later.
      if (newest && !last.empty() && last < newest->created)
        Statement(*this, "UPDATE models SET id = (SELECT max(id) + 1 FROM models) WHERE id = ?").bind(newest->id).run();
    }
  } catch (const json::exception& e) {
    core::fail("{}: is no whole export of a database: {}", where, e.what());
  }
  transaction.commit();
  return imported;
}

}  // namespace fdi::profile
