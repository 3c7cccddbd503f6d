// Tables: devices <- runs <- jobs <- readings, devices <- models. What has a JSON form of its own is stored as
// that; a reading's total is a column too, so that any SQLite tool can look at it.
#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "core/file.h"
#include "profile/store_statement.h"

namespace fdi::profile {
namespace {

using nlohmann::json;

constexpr int kSchemaVersion = 1;         // PRAGMA user_version
constexpr int kApplication = 0x46444954;  // PRAGMA application_id: "FDIT"

constexpr const char* kSchema = R"(
  CREATE TABLE devices (id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, identity TEXT NOT NULL);
  CREATE TABLE runs (id INTEGER PRIMARY KEY, device INTEGER NOT NULL REFERENCES devices ON DELETE CASCADE,
    request TEXT NOT NULL, started TEXT NOT NULL DEFAULT (datetime('now')), finished TEXT, UNIQUE (device, request));
  CREATE TABLE jobs (run INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE, number INTEGER NOT NULL,
    job TEXT NOT NULL, PRIMARY KEY (run, number)) WITHOUT ROWID;
  CREATE TABLE readings (run INTEGER NOT NULL, job INTEGER NOT NULL, pass INTEGER NOT NULL, total_us REAL NOT NULL,
    reading TEXT NOT NULL, PRIMARY KEY (run, job, pass),
    FOREIGN KEY (run, job) REFERENCES jobs ON DELETE CASCADE) WITHOUT ROWID;
  CREATE TABLE models (id INTEGER PRIMARY KEY, device INTEGER NOT NULL REFERENCES devices ON DELETE CASCADE,
    created TEXT NOT NULL DEFAULT (datetime('now')), model TEXT NOT NULL, UNIQUE (device, model));
)";

// Whether SQLite could also put its files beside it.
bool may_write(const std::string& path) {
  const std::string folder = std::filesystem::path(path).parent_path().string();
  return ::faccessat(AT_FDCWD, path.c_str(), W_OK, AT_EACCESS) == 0 &&
         ::faccessat(AT_FDCWD, folder.empty() ? "." : folder.c_str(), W_OK, AT_EACCESS) == 0;
}

// The name by which SQLite reads a file without locks and without files of its own.
std::string unchanging(const std::string& path) {
  std::string uri = path.starts_with('/') ? "file://" : "file:";
  for (const char c : path) uri += c == '%' || c == '?' || c == '#' ? fmt::format("%{:02x}", c) : std::string(1, c);
  return uri + "?immutable=1";
}

}  // namespace

std::string default_store_path() {
  if (const char* path = std::getenv("FASTDEEPIOT_DB"); path != nullptr && *path != '\0') return path;
  const std::string data = core::data_home();
  if (data.empty()) core::fail("no home folder for the database: give --db FILE or FASTDEEPIOT_DB");
  return data + "/fastdeepiot/fastdeepiot.db";
}

Store::Store(const std::string& path, Access access, int wait_seconds)
    : path_(path), access_(access), wait_seconds_(wait_seconds) {
  if (access != Access::kMake && !core::path_exists(path))
    core::fail("{}: there is no such database; `fastdeepiot profile` makes one, --db names another", path);
  const std::filesystem::path folder = std::filesystem::path(path).parent_path();
  std::error_code error;
  if (access == Access::kMake && !folder.empty()) std::filesystem::create_directories(folder, error);
  if (error) core::fail("{}: cannot make the folder: {}; give another file with --db", path, error.message());
  if (core::is_folder(path)) core::fail("{}: is a folder, want a database file", path);
  try {
    open();
    set_up();
  } catch (...) {
    close();
    throw;
  }
}

Store::~Store() { close(); }

// A writer is at work, or was killed: a part of the database is in its log.
bool Store::has_log() const {
  std::error_code none;
  const auto bytes = std::filesystem::file_size(path_ + "-wal", none);
  return !none && bytes > 0;
}

void Store::close() {
  sqlite3_close(db_);
  db_ = nullptr;
}

void Store::open() {
  std::string name = path_;
  int flags = SQLITE_OPEN_READWRITE | (access_ == Access::kMake ? SQLITE_OPEN_CREATE : 0);
  // SQLite keeps files beside a database, also to read it. Those of a reader who may not write the database could not
  // be written by its owner; without them it can be read as long as there is no log to go with it.
  if (access_ == Access::kRead && !may_write(path_)) {
    flags = SQLITE_OPEN_READONLY | SQLITE_OPEN_URI;
    if (!has_log()) name = unchanging(path_);
  }
  const int code = sqlite3_open_v2(name.c_str(), &db_, flags, nullptr);
  sqlite3_extended_result_codes(db_, 1);
  if (code != SQLITE_OK) fail(code);
  sqlite3_busy_timeout(db_, wait_seconds_ * 1000);
}

void Store::set_up() {
  const auto pragma = [&](const char* sql) {
    Statement statement(*this, sql);
    return statement.step() ? statement.integer(0) : 0;
  };
  const auto version = [&] { return pragma("PRAGMA user_version"); };
  const bool empty = version() == 0 && pragma("SELECT count(*) FROM sqlite_master") == 0;
  if (!empty && pragma("PRAGMA application_id") != kApplication)
    core::fail("{}: is a database of another program; give another file with --db", path_);
  if (version() > kSchemaVersion)
    core::fail("{}: was written by a later fastdeepiot (version {}, this one reads {}); use that one", path_, version(),
               kSchemaVersion);
  if (empty && access_ != Access::kMake) {  // read as one that holds nothing; the file stays as it is
    close();
    if (const int code = sqlite3_open(":memory:", &db_); code != SQLITE_OK) fail(code);
    execute(kSchema);
  }
  if (access_ == Access::kRead) return execute("PRAGMA query_only = ON");
  if (sqlite3_db_readonly(db_, "main") == 1) fail(SQLITE_READONLY);
  execute("PRAGMA journal_mode = WAL");    // a commit is one write to the log: fast enough for every reading
  execute("PRAGMA synchronous = NORMAL");  // what was committed outlives the program, whatever ends it
  execute("PRAGMA foreign_keys = ON");
  if (!empty || access_ != Access::kMake) return;
  Transaction transaction(*this);
  if (version() == 0) {  // unless another process was faster
    execute(kSchema);
    execute(fmt::format("PRAGMA application_id = {}; PRAGMA user_version = {}", kApplication, kSchemaVersion).c_str());
  }
  transaction.commit();
}

void Store::check() {
  Statement health(*this, "PRAGMA quick_check(1)");
  if (!health.step() || health.text(0) != "ok") fail(SQLITE_CORRUPT);
}

void Store::execute(const char* sql) {
  if (const int code = sqlite3_exec(db_, sql, nullptr, nullptr, nullptr); code != SQLITE_OK) fail(code);
}

std::vector<Store::Device> Store::devices() {
  Statement query(*this, R"(SELECT id, identity, (SELECT count(*) FROM runs WHERE device = devices.id),
    (SELECT count(*) FROM models WHERE device = devices.id),
    (SELECT count(*) FROM readings JOIN runs ON readings.run = runs.id WHERE runs.device = devices.id)
    FROM devices ORDER BY id)");
  std::vector<Device> out;
  while (query.step())
    out.push_back({query.integer(0), device::identity_from_json(query.parsed(1), path_),
                   static_cast<int>(query.integer(2)), static_cast<int>(query.integer(3)), query.integer(4)});
  return out;
}

std::optional<Store::Device> Store::find_device(const device::Identity& identity) {
  for (Device& device : devices())
    if (device::key(device.identity) == device::key(identity)) return std::move(device);
  return std::nullopt;
}

int64_t Store::device_id(const device::Identity& identity) {
  const std::string key = device::key(identity);
  Statement(*this, "INSERT OR IGNORE INTO devices (key, identity) VALUES (?, ?)")
      .bind(key)
      .bind(device::identity_to_json(identity).dump())
      .run();
  Statement query(*this, "SELECT id FROM devices WHERE key = ?");
  query.bind(key).step();
  return query.integer(0);
}

Store::Run Store::open_run(const device::Identity& identity, const json& request) {
  const int64_t device = device_id(identity);
  const std::string text = request.dump();
  Statement(*this, "INSERT OR IGNORE INTO runs (device, request) VALUES (?, ?)").bind(device).bind(text).run();
  for (Run& run : runs(device))
    if (run.request == request) return std::move(run);
  core::fail("{}: a run that was just added is gone; did another process remove it? Give the command again", path_);
}

std::vector<Store::Run> Store::runs(int64_t device) {
  Statement query(*this, R"(SELECT id, device, request, started, finished,
    (SELECT count(*) FROM jobs WHERE run = runs.id), (SELECT count(*) FROM readings WHERE run = runs.id)
    FROM runs WHERE ?1 = 0 OR device = ?1 ORDER BY id)");
  query.bind(device);
  std::vector<Run> out;
  while (query.step())
    out.push_back({query.integer(0), query.integer(1), query.parsed(2), query.text(3), query.text(4),
                   static_cast<int>(query.integer(5)), query.integer(6)});
  return out;
}

void Store::finish_run(int64_t run) {
  Statement(*this, "UPDATE runs SET finished = datetime('now') WHERE id = ?").bind(run).run();
}

void Store::add_jobs(int64_t run, std::span<const device::Job> jobs) {
  Transaction transaction(*this);
  Statement insert(*this, R"(INSERT INTO jobs (run, number, job)
    VALUES (?1, (SELECT count(*) FROM jobs WHERE run = ?1), ?2))");
  for (const device::Job& job : jobs) insert.bind(run).bind(device::job_to_json(job).dump()).run();
  transaction.commit();
}

std::vector<device::Job> Store::jobs(int64_t run) {
  Statement query(*this, "SELECT job FROM jobs WHERE run = ? ORDER BY number");
  query.bind(run);
  std::vector<device::Job> out;
  while (query.step()) out.push_back(device::job_from_json(query.parsed(0), path_));
  return out;
}

void Store::keep(int64_t run, const PassReading& r) {
  Statement(*this, "INSERT OR REPLACE INTO readings VALUES (?, ?, ?, ?, ?)")
      .bind(run)
      .bind(static_cast<int64_t>(r.job))
      .bind(r.pass)
      .bind(r.reading.total.median_us)
      .bind(device::reading_to_json(r.reading).dump())
      .run();
}

std::vector<PassReading> Store::readings(int64_t run) {
  Statement query(*this, "SELECT job, pass, reading FROM readings WHERE run = ? ORDER BY pass, job");
  query.bind(run);
  std::vector<PassReading> out;
  while (query.step())
    out.push_back({static_cast<size_t>(query.integer(0)), static_cast<int>(query.integer(1)),
                   device::reading_from_json(query.parsed(2), path_)});
  return out;
}

int64_t Store::add_model(const device::Identity& identity, const json& model) {
  const int64_t device = device_id(identity);
  // One that is there already becomes the newest.
  Statement(*this, "INSERT OR REPLACE INTO models (device, model) VALUES (?, ?)").bind(device).bind(model.dump()).run();
  return sqlite3_last_insert_rowid(db_);
}

std::vector<Store::Model> Store::models(int64_t device) {
  Statement query(*this, "SELECT id, device, created, model FROM models WHERE ?1 = 0 OR device = ?1 ORDER BY id");
  query.bind(device);
  std::vector<Model> out;
  while (query.step()) out.push_back({query.integer(0), query.integer(1), query.text(2), query.parsed(3)});
  return out;
}

std::optional<Store::Model> Store::newest_model(const device::Identity& identity) {
  Statement query(*this, R"(SELECT models.id, device, created, model FROM models JOIN devices ON device = devices.id
    WHERE key = ? ORDER BY models.id DESC LIMIT 1)");
  if (!query.bind(device::key(identity)).step()) return std::nullopt;
  return Model{query.integer(0), query.integer(1), query.text(2), query.parsed(3)};
}

void Store::remove(Kind kind, int64_t id) {
  constexpr const char* kSql[] = {"DELETE FROM devices WHERE id = ?", "DELETE FROM runs WHERE id = ?",
                                  "DELETE FROM models WHERE id = ?"};
  constexpr const char* kNames[] = {"device", "run", "model"};
  Statement(*this, kSql[static_cast<int>(kind)]).bind(id).run();
  if (sqlite3_changes(db_) == 0)
    core::fail("{}: has no {} {}; `fastdeepiot db list` shows what there is", path_, kNames[static_cast<int>(kind)],
               id);
}

}  // namespace fdi::profile
