// Store: the database of devices, what was measured on them, and the time models learnt from it (SQLite). Every
// reading is committed as it comes, so that a killed program loses at most the one under way. Called by the program.
#pragma once
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "device/component.h"
#include "device/identity.h"
#include "profile/passes.h"

struct sqlite3;

namespace fdi::profile {

// FASTDEEPIOT_DB, else fastdeepiot/fastdeepiot.db in $XDG_DATA_HOME or ~/.local/share.
std::string default_store_path();

class Store {
 public:
  enum class Access {
    kMake,   // a file that is not there is made, folders too
    kWrite,  // one that is not there is refused
    kRead,   // nothing is written, also into a file that could be: a read-only disk or another user's file will do
  };
  // Throws Error for a file that is not there or no such database (nothing is ever deleted), is locked by another
  // process for longer than `wait_seconds`, lies where the disk knows no locks, or is of a later version. A file that
  // is damaged is found out where the damage is read, or by check(). An empty file is a database that holds nothing.
  explicit Store(const std::string& path, Access access = Access::kMake, int wait_seconds = 5);
  ~Store();
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  // Reads all of it; throws Error where it is damaged. Called before much is added to it.
  void check();

  struct Device {
    int64_t id = 0;
    device::Identity identity;
    int runs = 0, models = 0;
    int64_t readings = 0;
  };
  std::vector<Device> devices();
  std::optional<Device> find_device(const device::Identity& identity);  // the one of equal key

  // One profile: a request (scope, options, seed) on a device. Asked for again, it is the same run.
  struct Run {
    int64_t id = 0, device = 0;
    nlohmann::json request;
    std::string started, finished;  // UTC; finished is empty until it is
    int jobs = 0;
    int64_t readings = 0;
  };
  Run open_run(const device::Identity& identity, const nlohmann::json& request);
  std::vector<Run> runs(int64_t device);  // 0: of all devices; oldest first
  void finish_run(int64_t run);

  // A run's jobs are numbered in the order in which they were added.
  void add_jobs(int64_t run, std::span<const device::Job> jobs);
  std::vector<device::Job> jobs(int64_t run);
  void keep(int64_t run, const PassReading& reading);  // in place of one of the same job and pass
  std::vector<PassReading> readings(int64_t run);

  struct Model {
    int64_t id = 0, device = 0;
    std::string created;  // UTC
    nlohmann::json model;
  };
  int64_t add_model(const device::Identity& identity, const nlohmann::json& model);
  std::optional<Model> newest_model(const device::Identity& identity);
  std::vector<Model> models(int64_t device);  // 0: of all devices; the one that was fitted last is the last

  enum class Kind { kDevice, kRun, kModel };
  void remove(Kind kind, int64_t id);  // with all that belongs to it; throws Error where there is none

  // All of it, one device's part, or one run without models, as text that another store takes in. Throws Error where
  // there is none of that number.
  nlohmann::json export_json(int64_t device = 0, int64_t run = 0);
  // Adds what is new: runs that are there gain the readings they lack, and models rank by when they were fitted. Throws
  // Error naming `where` and changes nothing where something does not fit.
  struct Imported {
    int runs = 0, models = 0;
    int64_t readings = 0;
  };
  Imported import_json(const nlohmann::json& json, const std::string& where);

 private:
  class Statement;  // store_statement.h
  class Transaction;
  int64_t device_id(const device::Identity& identity);  // made where it is unknown
  void execute(const char* sql);
  void open();
  void set_up();
  void close();
  bool has_log() const;
  [[noreturn]] void fail(int code);  // store_fail.cc

  std::string path_;
  Access access_;
  int wait_seconds_;
  sqlite3* db_ = nullptr;
};

}  // namespace fdi::profile
