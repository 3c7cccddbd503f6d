// Runs of a profile or a sweep: of other caches, adaptive, through an agent, stopped and gone on with.
#include <fmt/format.h>

#include "tests/cli/profiling_program.h"

namespace fdi::cli {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::Not;

// Times of cold caches are kept apart: no prediction is made of them unasked.
TEST_F(Profiling, ColdCachesMakeNoModelOfTheDevice) {
  std::vector<std::string> cold = {"profile",  "--scope", "scope.json", "--samples", "24",
                                   "--passes", "1",       "--cache",    "cold"};
  const json run_of = run_json(cold);
  EXPECT_EQ(run_of["samples"], 24);
  refused({"fit"}, "f.db holds only cold caches (run 1); `fit --run N` fits such a run");
  const Result r = run({"fit", "--run", run_of["run"].dump()});
  EXPECT_EQ(r.status, 0) << r.err;
  EXPECT_THAT(r.out, HasSubstr("not kept in the database"));
  EXPECT_EQ(run_json({"db", "list"})[0]["models"].size(), 0U);
  cold.back() = "warm";
  EXPECT_EQ(run_json(cold)["samples"], 24);
}

TEST_F(Profiling, AnAdaptiveRunStopsAtItsTargetAndGoesOnToAnother) {
  std::vector<std::string> adaptive = small_;
  adaptive.insert(adaptive.end(), {"--samples", "96", "--adaptive", "--target-mape", "100000"});
  adaptive.erase(adaptive.begin() + 3, adaptive.begin() + 5);  // small_'s own --samples
  const json first = run_json(adaptive);
  EXPECT_EQ(first["samples"], 64);  // the least
  adaptive.back() = "0.0001";
  const Result more = run(adaptive);
  EXPECT_EQ(more.status, 0) << more.err;
  EXPECT_THAT(more.err, HasSubstr("going on with"));
  EXPECT_THAT(more.out, HasSubstr("64 samples, "));
  EXPECT_THAT(more.out, HasSubstr("96 samples, "));
  EXPECT_EQ(run_json({"db", "list"})[0]["runs"].size(), 1U);
  adaptive.back() = "100000";
  EXPECT_EQ(run_json(adaptive)["samples"], 64);
}

// Profile, fit and predict on a device behind an agent; where the agent dies, what was measured is there.
TEST_F(Profiling, ThroughAnAgent) {
  const std::string agent = std::string("exec:'") + FDI_AGENT + "'";
  std::vector<std::string> there = small_;
  there.insert(there.end(), {"--device", agent, "--isa", "scalar", "--threads", "2"});
  const json first = run_json(there);
  EXPECT_EQ(first["samples"], 60);
  EXPECT_THAT(first["device"].get<std::string>(), HasSubstr("scalar | 2 threads"));
  const std::vector<std::string> where = {"--device", agent, "--isa", "scalar", "--threads", "2"};
  const auto with = [&](std::vector<std::string> command) {
    command.insert(command.end(), where.begin(), where.end());
    return command;
  };
  const Result fitted = run(with({"fit", "--json", "fit.json"}));
  EXPECT_EQ(fitted.status, 0) << fitted.err;
  EXPECT_EQ(json::parse(core::read_file(path("fit.json")))["ops"]["fc"]["samples"], 60);
  EXPECT_THAT(fitted.out, HasSubstr(", and kept on the device\n"));
  EXPECT_THAT(fitted.err, Not(HasSubstr("keep")));
  core::write_file_atomically(path("net.json"), R"({"name": "n", "input": [20], "layers": [
    {"op": "fc", "name": "a", "inputs": ["input"], "units": 20}]})");
  const json predicted = run_json(with({"predict", "--spec", "net.json", "--measure"}));
  EXPECT_GT(predicted["measured_ms"], 0.0);

  // The device keeps its model: who has no database, or one that knows nothing of it, is told by the device.
  const Result elsewhere = run(with({"predict", "--spec", "net.json", "--db", "else.db", "--json", "p.json"}));
  EXPECT_EQ(elsewhere.status, 0) << elsewhere.err;
  EXPECT_EQ(json::parse(core::read_file(path("p.json")))["predicted_ms"], predicted["predicted_ms"]);
  EXPECT_THAT(elsewhere.err, HasSubstr("the device keeps a time model: it is model 1 in else.db now"));
  // Where no database can be made, the model is used all the same.
  const Result nowhere = run(with({"predict", "--spec", "net.json", "--db", "net.json/f.db", "--json", "q.json"}));
  EXPECT_EQ(nowhere.status, 0) << nowhere.err;
  EXPECT_EQ(json::parse(core::read_file(path("q.json")))["predicted_ms"], predicted["predicted_ms"]);
  EXPECT_THAT(nowhere.err, HasSubstr("the device keeps a time model, which is used, but not stored in the database: "
                                     "net.json/f.db: cannot make the folder"));
  // One that lacks an op is not taken over: it would be the newest in the database. Neither is what cannot be read.
  Result refused_one = run(with({"predict", "--zoo", "lenet", "--db", "none.db"}));
  EXPECT_EQ(refused_one.status, 2);
  EXPECT_THAT(refused_one.err, HasSubstr("the model that the device keeps is left out: it knows no times of conv2d"));
  EXPECT_FALSE(std::filesystem::exists(path("none.db")));
  for (const auto& file : std::filesystem::directory_iterator(path("models")))
    core::write_file_atomically(file.path(), "{");
  refused(with({"predict", "--spec", "net.json", "--db", "none.db"}), "no time model of fc in none.db", 2);
  refused(with({"predict", "--spec", "net.json", "--db", "none 2.db"}), " --device 'exec:'\\''/", 2);
  refused(with({"predict", "--spec", "net.json", "--db", "none 2.db"}), " --db 'none 2.db'`", 2);

  // One that passes on its greeting and three readings, and dies whenever it is started.
  const auto dies_after = [&](int lines) {
    core::write_file_atomically(path("dying.sh"),
                                fmt::format("sh -c 'echo $$ >{0}; exec {1}' | {{ sed -u {2}q; kill $(cat {0}); }}\n",
                                            path("pid"), FDI_AGENT, lines));
  };
  dies_after(4);
  const Result r = run({"profile", "--scope", "scope.json", "--samples", "60", "--passes", "2", "--seed", "2",
                        "--device", "exec:sh " + path("dying.sh")});
  EXPECT_EQ(r.status, 0) << r.err;  // it was started anew each time
  EXPECT_EQ(run_json({"db", "list"})[1]["runs"][0]["readings"], 10);
  dies_after(1);
  std::vector<std::string> lost = small_;
  lost.insert(lost.end(), {"--passes", "3", "--seed", "2", "--device", "exec:sh " + path("dying.sh")});
  lost.erase(lost.begin() + 5, lost.begin() + 7);  // small_'s own --passes
  const Result gone = run(lost);
  EXPECT_EQ(gone.status, 2);
  EXPECT_THAT(gone.err, HasSubstr("lost 3 times while timing"));
  EXPECT_EQ(run_json({"db", "list"})[1]["runs"][0]["readings"], 10);  // all that was measured

  // An agent whose command says qemu is emulated: no model unless it is asked for.
  std::filesystem::create_symlink(FDI_AGENT, path("qemu-agent"));
  std::vector<std::string> emulated = small_;
  emulated.insert(emulated.end(), {"--device", "exec:" + path("qemu-agent")});
  EXPECT_EQ(run_json(emulated)["samples"], 60);
  refused({"fit", "--device", "exec:" + path("qemu-agent")}, "is an emulated device, whose times mean nothing");
  const Result forced = run({"fit", "--force", "--device", "exec:" + path("qemu-agent")});
  EXPECT_THAT(forced.out, HasSubstr("EMULATED"));
  EXPECT_THAT(forced.err, Not(HasSubstr("keep")));
}

TEST_F(Profiling, AStoppedRunGoesOn) {
  std::vector<std::string> slow = small_;
  slow.back() = "400";  // passes
  const int kept = killed_after(10, slow);
  const json list = run_json({"db", "list"});
  EXPECT_GT(kept, 10);
  EXPECT_EQ(list[0]["runs"][0]["finished"], "");
  const int passes = kept / 5 + 2;  // of five jobs each: some are still missing
  slow.back() = std::to_string(passes);
  const Result rest = run(slow);
  EXPECT_EQ(rest.status, 0);
  EXPECT_THAT(rest.err, HasSubstr("going on with " + std::to_string(kept) + " readings"));
  EXPECT_EQ(run_json({"db", "list"})[0]["runs"][0]["readings"], 5 * passes);
}

// Two would measure each other, and the same run.
TEST_F(Profiling, TheSecondOfTwoAtOnceIsRefused) {
  std::vector<std::string> slow = small_;
  slow.back() = "400";  // passes
  const pid_t first = start(slow);
  while (stored() == 0 && ::waitpid(first, nullptr, WNOHANG) == 0) ::usleep(20'000);
  std::vector<std::string> other = small_;
  other.insert(other.end(), {"--seed", "2"});
  for (const std::vector<std::string>& second :
       {slow, other, std::vector<std::string>{"sweep", "--op", "fc", "--vary", "in_dim=4..12:4"}}) {
    const Result r = run(second);
    EXPECT_EQ(r.status, 1) << second[0];
    EXPECT_THAT(r.err, HasSubstr(fmt::format("local: is being measured already, by process {} on ", first)));
    EXPECT_EQ(std::count(r.err.begin(), r.err.end(), '\n'), 1) << r.err;
  }
  ::kill(first, SIGKILL);
  ::waitpid(first, nullptr, 0);
  EXPECT_EQ(run_json({"db", "list"})[0]["runs"].size(), 1U);
  EXPECT_EQ(run_json(other)["samples"], 60) << "the lock of a killed one does not block";
  EXPECT_EQ(run_json({"db", "list"})[0]["runs"].size(), 2U);
  for (const auto& entry : std::filesystem::directory_iterator(dir_))  // of the killed one's run the file is left
    if (const std::string name = entry.path().filename().string(); name.ends_with(".lock")) {
      EXPECT_THAT(name, ::testing::StartsWith(".f.db.run_1-"));
    }
}

TEST_F(Profiling, SweepsSizes) {
  const json rows =
      run_json({"sweep", "--op", "fc", "--vary", "in_dim,out_dim=4..12:4", "--svg", "s.svg", "--csv", "s.csv"});
  ASSERT_EQ(rows.size(), 3U);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(rows[i]["config"]["in_dim"], 4 * (i + 1));
    EXPECT_EQ(rows[i]["config"]["out_dim"], 4 * (i + 1));
    EXPECT_GT(rows[i]["median_us"], 0.0);
    EXPECT_GE(rows[i]["rel_mad"], 0.0);
  }
  EXPECT_THAT(core::read_file(path("s.csv")), HasSubstr("\nfc,"));
  if (std::system("command -v gnuplot >/dev/null") == 0) {
    EXPECT_THAT(core::read_file(path("s.svg")), HasSubstr("<svg"));
  }
}

// A sweep is stored as it is measured: stopped, it goes on; asked for again, it is made again. No model comes of it.
TEST_F(Profiling, AStoppedSweepGoesOn) {
  const std::vector<std::string> sweep = {"sweep", "--op", "fc", "--vary", "in_dim,out_dim=4..48:4", "--passes"};
  std::vector<std::string> asked = sweep;
  asked.emplace_back("1000");
  const int kept = killed_after(5, asked);
  asked.back() = std::to_string(kept + 1);
  const Result rest = run(asked);
  EXPECT_EQ(rest.status, 0) << rest.err;
  EXPECT_THAT(rest.err, HasSubstr("going on with " + std::to_string(kept) + " readings"));
  EXPECT_EQ(stored(), kept + 1);  // one job of twelve layers
  asked.back() = "2";
  EXPECT_EQ(run(asked).status, 0);
  EXPECT_EQ(stored(), 2);
  EXPECT_THAT(run({"db", "list"}).out, HasSubstr("a sweep of fc, in_dim,out_dim=4..48:4, 1 jobs"));
  refused({"fit"}, "holds only sweeps (run 1)");
}

}  // namespace
}  // namespace fdi::cli
