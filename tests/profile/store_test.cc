// The store: what goes in comes out, also after a kill; a locked, damaged, foreign or full file is refused by name.
#include "profile/store.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>

#include "core/error.h"
#include "core/file.h"
#include "tests/profile/samples.h"
#include "tests/temp_folder.h"

namespace fdi::profile {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;

class StoreFile : public ::testing::Test, public TempFolder {
 protected:
  void SetUp() override { path_ = (dir_ / "deep/er/f.db").string(); }
  std::string path_;
};

PassReading reading(size_t job, int pass, double us = 10) {
  PassReading r{job, pass, {}};
  r.reading.total = {us * 0.9, us, us * 1.1, 0.01, 20};
  r.reading.layers = {r.reading.total};
  r.reading.reference_us = 100.25;
  r.reading.cpu_share = 0.99;
  return r;
}

bool same(const PassReading& a, const PassReading& b) {
  return a.job == b.job && a.pass == b.pass && device::reading_to_json(a.reading) == device::reading_to_json(b.reading);
}

const json kRequest = {{"samples", 3}, {"seed", 1}};
const std::vector<device::Job>& three() {
  static const std::vector<device::Job> jobs = [] {
    std::vector<device::Job> list;
    for (const device::Component& c : {conv(24, 3, 64), conv(24, 64, 7), conv(12, 1, 1)})
      list.push_back(device::job_of(std::span(&c, 1)));
    return list;
  }();
  return jobs;
}

template <class Call>
std::string refusal(Call call) {
  try {
    call();
  } catch (const core::Error& e) {
    return e.what();
  }
  return "accepted";
}

TEST_F(StoreFile, KeepsARun) {
  {
    Store store(path_);
    const Store::Run run = store.open_run(test_device(), kRequest);
    EXPECT_TRUE(run.finished.empty());
    store.add_jobs(run.id, {three().data(), 2});
    store.add_jobs(run.id, {three().data() + 2, 1});
    for (const PassReading& r : {reading(0, 0), reading(2, 0), reading(1, 1), reading(2, 0, 33)}) store.keep(run.id, r);
  }
  Store store(path_);
  const Store::Run run = store.open_run(test_device(), kRequest);
  EXPECT_EQ(run.jobs, 3);
  EXPECT_EQ(run.readings, 3);
  EXPECT_EQ(store.jobs(run.id), three());
  const std::vector<PassReading> back = store.readings(run.id);
  ASSERT_EQ(back.size(), 3U);
  EXPECT_TRUE(same(back[0], reading(0, 0)));
  EXPECT_TRUE(same(back[1], reading(2, 0, 33))) << "the later one counts";
  EXPECT_TRUE(same(back[2], reading(1, 1)));
  store.finish_run(run.id);
  EXPECT_FALSE(store.open_run(test_device(), kRequest).finished.empty());
}

TEST_F(StoreFile, TellsRunsAndDevicesApart) {
  Store store(path_);
  const int64_t first = store.open_run(test_device(), kRequest).id;
  EXPECT_EQ(store.open_run(test_device(), kRequest).id, first);
  EXPECT_NE(store.open_run(test_device(), {{"samples", 4}}).id, first);
  EXPECT_NE(store.open_run(test_device("other"), kRequest).id, first);
  device::Identity busy = test_device();
  busy.governor = "powersave";  // explains a spread, makes no other device
  EXPECT_EQ(store.open_run(busy, kRequest).id, first);
  ASSERT_EQ(store.devices().size(), 2U);
  EXPECT_EQ(store.devices()[0].identity, test_device());
  EXPECT_EQ(store.devices()[0].runs, 2);
  EXPECT_FALSE(store.find_device(test_device("third")));
}

TEST_F(StoreFile, TheNewestModelIsAsked) {
  Store store(path_);
  EXPECT_FALSE(store.newest_model(test_device()));
  store.add_model(test_device(), {{"v", 1}});
  store.add_model(test_device(), {{"v", 2}});
  store.add_model(test_device("other"), {{"v", 3}});
  EXPECT_EQ(store.newest_model(test_device())->model, (json{{"v", 2}}));
  store.add_model(test_device(), {{"v", 1}});  // fitted again
  EXPECT_EQ(store.newest_model(test_device())->model, (json{{"v", 1}}));
  EXPECT_EQ(store.models(0).size(), 3U);
}

TEST_F(StoreFile, RemovesWithAllThatBelongsToIt) {
  Store store(path_);
  const Store::Run run = store.open_run(test_device(), kRequest);
  store.add_jobs(run.id, three());
  store.keep(run.id, reading(0, 0));
  const int64_t model = store.add_model(test_device(), {{"v", 1}});
  EXPECT_THAT(refusal([&] { store.remove(Store::Kind::kRun, 99); }), HasSubstr("has no run 99"));
  store.remove(Store::Kind::kModel, model);
  EXPECT_FALSE(store.newest_model(test_device()));
  store.remove(Store::Kind::kDevice, run.device);
  EXPECT_TRUE(store.devices().empty());
  EXPECT_TRUE(store.runs(0).empty());
  EXPECT_TRUE(store.readings(run.id).empty());
  EXPECT_TRUE(store.jobs(run.id).empty());
}

TEST_F(StoreFile, ExportAndImport) {
  Store store(path_);
  const Store::Run run = store.open_run(test_device(), kRequest);
  store.add_jobs(run.id, three());
  store.keep(run.id, reading(0, 0));
  store.add_model(test_device(), {{"v", 1}});
  store.open_run(test_device("other"), kRequest);
  const json all = store.export_json();
  EXPECT_EQ(all["devices"].size(), 2U);
  EXPECT_EQ(store.export_json(run.device)["devices"].size(), 1U);
  EXPECT_THAT(refusal([&] { store.export_json(77); }), HasSubstr("has no device 77"));
  const json one = store.export_json(0, run.id);
  ASSERT_EQ(one["devices"].size(), 1U);
  EXPECT_EQ(one["devices"][0]["runs"].size(), 1U);
  EXPECT_TRUE(one["devices"][0]["models"].empty());
  EXPECT_THAT(refusal([&] { store.export_json(0, 77); }), HasSubstr("has no run 77"));

  Store second((dir_ / "second.db").string());
  const Store::Imported imported = second.import_json(all, "f.json");
  EXPECT_EQ(imported.runs, 2);
  EXPECT_EQ(imported.readings, 1);
  EXPECT_EQ(imported.models, 1);
  EXPECT_EQ(second.jobs(second.open_run(test_device(), kRequest).id), three());
  // Again: nothing is new; and what the first has measured since is taken over.
  EXPECT_EQ(second.import_json(all, "f.json").readings, 0);
  store.keep(run.id, reading(1, 0));
  EXPECT_EQ(second.import_json(store.export_json(), "f.json").readings, 1);
  EXPECT_EQ(second.readings(second.open_run(test_device(), kRequest).id).size(), 2U);
}

TEST_F(StoreFile, ABadImportChangesNothing) {
  Store store(path_);
  const Store::Run run = store.open_run(test_device(), kRequest);
  store.add_jobs(run.id, three());
  store.keep(run.id, reading(0, 0));
  const json good = store.export_json();
  Store second((dir_ / "second.db").string());
  const auto refused = [&](const json& bad) { return refusal([&] { second.import_json(bad, "f.json"); }); };
  EXPECT_THAT(refused(json::array()), HasSubstr("f.json: is no export"));
  json bad = good;
  bad["fastdeepiot_db"] = 2;
  EXPECT_THAT(refused(bad), HasSubstr("another version"));
  bad = good;
  bad["devices"][0]["runs"][0]["readings"][0]["job"] = 3;
  EXPECT_THAT(refused(bad), HasSubstr("a reading is of job 3, but its run has 3"));
  bad = good;
  bad["devices"][0]["runs"][0]["readings"][0]["reading"] = "fast";
  EXPECT_THAT(refused(bad), HasSubstr("f.json"));
  bad = good;
  bad["devices"][0].erase("models");
  EXPECT_THAT(refused(bad), HasSubstr("no whole export"));
  EXPECT_TRUE(second.devices().empty());
  second.import_json(good, "f.json");
  bad = good;
  bad["devices"][0]["runs"][0]["jobs"][1] = bad["devices"][0]["runs"][0]["jobs"][0];
  EXPECT_THAT(refused(bad), HasSubstr("other jobs"));
}

TEST_F(StoreFile, AKilledWriterLosesNothingCommitted) {
  int pipe[2];
  ASSERT_EQ(::pipe(pipe), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    Store store(path_);
    const Store::Run run = store.open_run(test_device(), kRequest);
    store.add_jobs(run.id, three());
    for (int pass = 0;; ++pass) {
      store.keep(run.id, reading(0, pass));
      const char byte = 1;
      if (::write(pipe[1], &byte, 1) != 1) ::_exit(1);
    }
  }
  ::close(pipe[1]);
  char bytes[200];
  size_t told = 0;
  while (told < sizeof bytes) {
    const ssize_t n = ::read(pipe[0], bytes, sizeof bytes - told);
    ASSERT_GT(n, 0);
    told += static_cast<size_t>(n);
  }
  ::kill(child, SIGKILL);
  for (ssize_t n = 1; n > 0;)  // what it told before it died
    if (n = ::read(pipe[0], bytes, sizeof bytes); n > 0) told += static_cast<size_t>(n);
  ::waitpid(child, nullptr, 0);
  ::close(pipe[0]);
  Store store(path_);
  EXPECT_GE(store.readings(store.open_run(test_device(), kRequest).id).size(), told);
}

TEST_F(StoreFile, ALockedFileIsSaid) {
  { Store store(path_); }
  sqlite3* other = nullptr;
  ASSERT_EQ(sqlite3_open(path_.c_str(), &other), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(other, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr), SQLITE_OK);
  Store store(path_, 0);
  EXPECT_THAT(refusal([&] { store.open_run(test_device(), kRequest); }),
              AllOf(HasSubstr(path_), HasSubstr("locked by another process")));
  sqlite3_exec(other, "ROLLBACK", nullptr, nullptr, nullptr);
  sqlite3_close(other);
  EXPECT_EQ(refusal([&] { store.open_run(test_device(), kRequest); }), "accepted");
}

TEST_F(StoreFile, DamagedAndForeignFilesAreLeftAlone) {
  const std::string file = (dir_ / "f.db").string();
  core::write_file_atomically(file, std::string(9000, 'x'));
  EXPECT_THAT(refusal([&] { Store store(file); }), AllOf(HasSubstr(file), HasSubstr("damaged"), HasSubstr("rename")));
  EXPECT_EQ(core::read_file(file), std::string(9000, 'x'));

  {
    Store store(path_);
    const Store::Run run = store.open_run(test_device(), kRequest);
    store.add_jobs(run.id, three());
    for (int pass = 0; pass < 300; ++pass) store.keep(run.id, reading(0, pass));
  }
  std::string bytes = core::read_file(path_);
  ASSERT_GT(bytes.size(), 16384U);
  std::fill(bytes.begin() + 5000, bytes.end() - 2000, '\xAA');
  core::write_file_atomically(path_, bytes);
  EXPECT_THAT(refusal([&] { Store store(path_); }), HasSubstr("damaged"));
  EXPECT_EQ(core::read_file(path_), bytes);

  const std::string foreign = (dir_ / "other.db").string();
  sqlite3* db = nullptr;
  ASSERT_EQ(sqlite3_open(foreign.c_str(), &db), SQLITE_OK);
  sqlite3_exec(db, "CREATE TABLE songs (name TEXT)", nullptr, nullptr, nullptr);
  sqlite3_close(db);
  EXPECT_THAT(refusal([&] { Store store(foreign); }), HasSubstr("another program"));

  const std::string later = (dir_ / "later.db").string();
  { Store store(later); }
  ASSERT_EQ(sqlite3_open(later.c_str(), &db), SQLITE_OK);
  sqlite3_exec(db, "PRAGMA user_version = 99", nullptr, nullptr, nullptr);
  sqlite3_close(db);
  EXPECT_THAT(refusal([&] { Store store(later); }), HasSubstr("later fastdeepiot (version 99"));

  EXPECT_THAT(refusal([&] { Store store(dir_.string()); }), HasSubstr("is a folder"));
  EXPECT_THAT(refusal([&] { Store store("/proc/fdi/f.db"); }), HasSubstr("cannot make the folder"));
}

// A full disk, played by a limit on the size of files: the reading is refused, those before it are there.
TEST_F(StoreFile, AFullDiskLosesNothingMeasured) {
  int64_t run = 0;
  {
    Store store(path_);
    run = store.open_run(test_device(), kRequest).id;
    store.add_jobs(run, three());
  }
  int pipe[2];
  ASSERT_EQ(::pipe(pipe), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    ::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{200'000, 200'000};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    std::string message = "accepted";
    int kept = 0;
    try {
      Store store(path_);
      for (; kept < 100'000; ++kept) store.keep(run, reading(0, kept));
    } catch (const core::Error& e) {
      message = e.what();
    }
    message = std::to_string(kept) + " " + message;
    ::_exit(::write(pipe[1], message.data(), message.size()) > 0 ? 0 : 1);
  }
  ::close(pipe[1]);
  char text[1000];
  const ssize_t n = ::read(pipe[0], text, sizeof text);
  ::waitpid(child, nullptr, 0);
  ::close(pipe[0]);
  ASSERT_GT(n, 0);
  const std::string message(text, static_cast<size_t>(n));
  EXPECT_THAT(message, HasSubstr(path_));
  const auto kept = static_cast<size_t>(std::stoi(message));
  EXPECT_GT(kept, 10U);
  EXPECT_LT(kept, 100'000U);
  EXPECT_EQ(Store(path_).readings(run).size(), kept);
}

}  // namespace
}  // namespace fdi::profile
