// The store: what goes in comes out, here and in another one.
#include <gmock/gmock.h>
#include <sqlite3.h>

#include "tests/profile/store_file.h"

namespace fdi::profile {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

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

// What the clock said does not matter: a model that was fitted while it was ahead is not the newest for ever.
TEST_F(StoreFile, TheNewestModelIsTheOneFittedLast) {
  {
    Store store(path_);
    store.add_model(test_device(), {{"v", 1}});
  }
  sqlite3* db = nullptr;
  ASSERT_EQ(sqlite3_open(path_.c_str(), &db), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(db, "UPDATE models SET created = '2099-01-01 00:00:00'", nullptr, nullptr, nullptr),
            SQLITE_OK);
  sqlite3_close(db);
  Store store(path_);
  const int64_t second = store.add_model(test_device(), {{"v", 2}});
  EXPECT_EQ(store.newest_model(test_device())->id, second);
  EXPECT_EQ(store.models(0).back().id, second);
}

// A copy of earlier days does not become what predictions are made of; a later one does.
TEST_F(StoreFile, AnImportedModelRanksByItsDate) {
  Store first(path_);
  first.add_model(test_device(), {{"v", 1}});
  json text = first.export_json();
  const auto imported = [&](const char* name, const char* created) {
    Store store((dir_ / name).string());
    store.add_model(test_device(), {{"v", 2}});
    text["devices"][0]["models"][0]["created"] = created;
    EXPECT_EQ(store.import_json(text, "f.json").models, 1);
    EXPECT_EQ(store.models(0).size(), 2U);
    return store.newest_model(test_device())->model["v"].get<int>();
  };
  EXPECT_EQ(imported("earlier.db", "2001-01-01 00:00:00"), 2);
  EXPECT_EQ(imported("later.db", "2999-01-01 00:00:00"), 1);
}

TEST_F(StoreFile, RemovesWithAllThatBelongsToIt) {
  Store store(path_);
  const Store::Run run = store.open_run(test_device(), kRequest);
  store.add_jobs(run.id, three());
  store.keep(run.id, reading(0, 0));
  const int64_t model = store.add_model(test_device(), {{"v", 1}});
  EXPECT_THAT(message_of([&] { store.remove(Store::Kind::kRun, 99); }), HasSubstr("has no run 99"));
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
  EXPECT_THAT(message_of([&] { store.export_json(77); }), HasSubstr("has no device 77"));
  const json one = store.export_json(0, run.id);
  ASSERT_EQ(one["devices"].size(), 1U);
  EXPECT_EQ(one["devices"][0]["runs"].size(), 1U);
  EXPECT_TRUE(one["devices"][0]["models"].empty());
  EXPECT_THAT(message_of([&] { store.export_json(0, 77); }), HasSubstr("has no run 77"));

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
  const auto refused = [&](const json& bad) { return message_of([&] { second.import_json(bad, "f.json"); }); };
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
  for (const json& request : {json("x"), json{{"cache", 3}}, json{{"seed", "one"}}, json{{"sweep", true}}}) {
    bad = good;
    bad["devices"][0]["runs"][0]["request"] = request;
    EXPECT_THAT(refused(bad), HasSubstr("f.json: a run's \"request\" is none"));
  }
  bad = good;
  bad["devices"][0].erase("models");
  EXPECT_THAT(refused(bad), HasSubstr("no whole export"));
  EXPECT_TRUE(second.devices().empty());
  second.import_json(good, "f.json");
  bad = good;
  bad["devices"][0]["runs"][0]["jobs"][1] = bad["devices"][0]["runs"][0]["jobs"][0];
  EXPECT_THAT(refused(bad), HasSubstr("other jobs"));
}

}  // namespace
}  // namespace fdi::profile
