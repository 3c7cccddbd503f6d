// The main job through the program itself: train, eval, info, data on made-up images; their JSON; kills and resumes.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <iterator>
#include <limits>
#include <nlohmann/json.hpp>
#include <thread>

#include "core/rng.h"
#include "nn/model_file.h"
#include "tests/cli/program.h"
#include "tests/datasets/encoders.h"

namespace fdi::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
namespace fs = std::filesystem;

class Train : public Program {
 protected:
  static std::vector<std::string> tiny(const std::string& out, std::vector<std::string> more = {}) {
    std::vector<std::string> a = {"train", "--zoo", "lenet", "--data",    kData, "--epochs", "3", "--batch",
                                  "32",    "--lr",  "0.02",  "--threads", "2",   "--out",    out};
    a.insert(a.end(), more.begin(), more.end());
    return a;
  }
  nlohmann::json json(const std::string& name) const { return nlohmann::json::parse(core::read_file(path(name))); }
  // Bad input: status 2, one line, nothing on standard output.
  void refused(const std::vector<std::string>& arguments, const std::string& message) const {
    const Result r = run(arguments);
    EXPECT_EQ(r.status, 2) << r.err;
    EXPECT_EQ(r.out, "");
    EXPECT_THAT(r.err, HasSubstr(message));
    EXPECT_EQ(r.err.rfind("fastdeepiot: "), r.err.rfind('\n', r.err.size() - 2) + 1) << "last line: the error";
  }
};

TEST_F(Train, TrainsEvaluatesAndTells) {
  const Result t = run(tiny("run", {"--json", "train.json"}));
  ASSERT_EQ(t.status, 0) << t.err;
  EXPECT_THAT(t.out, HasSubstr("test accuracy "));
  EXPECT_THAT(t.out, HasSubstr("run/model.safetensors"));
  for (const char* line : {"epoch 1/3 ", "epoch 2/3 ", "epoch 3/3 "}) EXPECT_THAT(t.err, HasSubstr(line));
  EXPECT_EQ(t.err.find('\r'), std::string::npos) << "no live line where standard error is no terminal";
  const nlohmann::json trained = json("train.json");
  for (const char* key : {"accuracy", "loss", "examples", "epochs", "seconds", "images_per_s", "history"})
    EXPECT_TRUE(trained.contains(key)) << key;
  EXPECT_EQ(trained["examples"], 40);
  EXPECT_EQ(trained["epochs"], 3);
  ASSERT_EQ(trained["history"].size(), 3U);
  for (const char* key : {"epoch", "loss", "accuracy", "lr", "seconds", "images_per_s"})
    EXPECT_TRUE(trained["history"][0].contains(key)) << key;

  const Result e = run({"eval", "--model", "run/model.safetensors", "--data", kData, "--json", "eval.json"});
  ASSERT_EQ(e.status, 0) << e.err;
  EXPECT_THAT(e.out, HasSubstr("most often taken for"));
  const nlohmann::json evaluated = json("eval.json");
  EXPECT_EQ(evaluated["accuracy"], trained["accuracy"]);
  EXPECT_EQ(evaluated["examples"], 40);
  EXPECT_NEAR(evaluated["loss"].get<double>(), trained["loss"].get<double>(), 1e-5);
  ASSERT_EQ(evaluated["classes"].size(), 4U);
  EXPECT_FALSE(evaluated.contains("accuracy_top5"));
  int64_t examples = 0;
  for (const auto& row : evaluated["classes"]) examples += row["examples"].get<int64_t>();
  EXPECT_EQ(examples, 40);

  const Result i = run({"info", "--model", "run/model.safetensors", "--json", "info.json"});
  ASSERT_EQ(i.status, 0) << i.err;
  const nlohmann::json info = json("info.json");
  int64_t parameters = 0, flops = 0;
  for (const auto& layer : info["layers"]) {
    for (const char* key : {"name", "op", "output", "parameters", "flops"}) EXPECT_TRUE(layer.contains(key)) << key;
    parameters += layer["parameters"].get<int64_t>();
    flops += layer["flops"].get<int64_t>();
  }
  EXPECT_EQ(info["parameters"], parameters);
  EXPECT_EQ(info["flops"], flops);
}

TEST_F(Train, JsonDashIsTheOnlyThingOnStandardOutput) {
  for (const std::vector<std::string>& command :
       {tiny("run", {"--json", "-"}),
        {"eval", "--model", "run/model.safetensors", "--data", kData, "--json", "-"},
        {"info", "--zoo", "lenet", "--json", "-"},
        {"data", "info", "--data", kData, "--json", "-"}}) {
    const Result r = run(command);
    ASSERT_EQ(r.status, 0) << r.err;
    EXPECT_FALSE(nlohmann::json::parse(r.out, nullptr, false).is_discarded()) << r.out;
  }
}

TEST_F(Train, SameSeedSameModelWhateverTheThreads) {
  ASSERT_EQ(run(tiny("a")).status, 0);
  auto one_thread = tiny("b");
  *(std::find(one_thread.begin(), one_thread.end(), "--threads") + 1) = "1";
  ASSERT_EQ(run(one_thread).status, 0);
  ASSERT_EQ(run(tiny("c", {"--seed", "2"})).status, 0);
  const std::string a = core::read_file(path("a/model.safetensors"));
  EXPECT_EQ(a, core::read_file(path("b/model.safetensors")));
  EXPECT_NE(a, core::read_file(path("c/model.safetensors")));
}

TEST_F(Train, ARunIsNeverOverwrittenAndResumesOnlyAsItWas) {
  refused(tiny("run", {"--resume"}), "leave out --resume");
  ASSERT_EQ(run(tiny("run", {"--validation", "0.2"})).status, 0);
  const std::string model = core::read_file(path("run/model.safetensors"));
  refused(tiny("run"), "--out run: holds a run already; choose another folder, or add --resume");
  refused(tiny("run", {"--resume", "--lr", "0.5"}), "cannot resume: lr is 0.5, was 0.02");
  refused({"train", "--out", "run", "--resume", "--batch", "7"}, "cannot resume: batch is 7, was 32");
  refused({"train", "--out", "run", "--resume", "--seed", "9"}, "cannot resume: seed is 9, was 1");
  refused({"train", "--out", "run", "--resume", "--augment", "off"}, "data.augment is false, was true");
  refused({"train", "--out", "run", "--resume", "--zoo", "lenet", "--width", "2"}, "cannot resume");
  refused({"train", "--out", "run", "--resume", "--width", "2"}, "cannot resume: data.width is 2.0, was 1.0");
  refused({"train", "--out", "run", "--resume", "--zoo", "vgg16"},
          "cannot resume: data.zoo is \"vgg16\", was \"lenet\"");
  EXPECT_EQ(core::read_file(path("run/model.safetensors")), model);
  const Result r = run({"train", "--out", "run", "--resume"});
  EXPECT_EQ(r.status, 0) << r.err;
  EXPECT_EQ(core::read_file(path("run/model.safetensors")), model);
}

TEST_F(Train, AResumedZooNetworkKeepsItsWidth) {
  ASSERT_EQ(run(tiny("run", {"--width", "0.5"})).status, 0);
  const Result r = run(tiny("run", {"--resume"}));  // --zoo lenet, no --width
  EXPECT_EQ(r.status, 0) << r.err;
  refused(tiny("run", {"--resume", "--width", "1"}), "cannot resume: data.width is 1.0, was 0.5");
}

TEST_F(Train, ResumingWithOtherArithmeticIsSaid) {
  const Result whole = run(tiny("run", {"--isa", "scalar"}));
  ASSERT_EQ(whole.status, 0) << whole.err;
  const Result same = run(tiny("run", {"--resume", "--isa", "scalar"}));
  EXPECT_EQ(same.err.find("warning"), std::string::npos) << same.err;
  const Result r = run(tiny("run", {"--resume", "--isa", "scalar", "--gemm", "openblas"}));
  if (r.status == 2 && r.err.find("OpenBLAS") != std::string::npos) GTEST_SKIP() << "built without OpenBLAS";
  EXPECT_EQ(r.status, 0) << r.err;
  EXPECT_THAT(r.err, HasSubstr("warning: the run began with --gemm native, this is --gemm openblas"));
}

// Several threads: the program starts itself anew with short spins at barriers; the user's own setting stays.
TEST_F(Train, SpinsShortlyUnlessAskedOtherwise) {
  ASSERT_EQ(::unsetenv("FASTDEEPIOT_RESTARTED"), 0);
  for (const bool own : {false, true}) {
    if (own)
      ::setenv("GOMP_SPINCOUNT", "7", 1);
    else
      ::unsetenv("GOMP_SPINCOUNT");
    std::ofstream(path("stderr")).close();  // not that of the run before
    const pid_t child = start(tiny(own ? "own" : "short", {"--epochs", "10000"}));
    while (core::read_file(path("stderr")).find("epoch 1/") == std::string::npos &&
           ::waitpid(child, nullptr, WNOHANG) == 0)
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    std::ifstream in("/proc/" + std::to_string(child) + "/environ");
    const std::string environment(std::istreambuf_iterator<char>(in), {});
    EXPECT_THAT(environment, HasSubstr(own ? "GOMP_SPINCOUNT=7" : "GOMP_SPINCOUNT=1000"));
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
  }
  ::unsetenv("GOMP_SPINCOUNT");
}

TEST_F(Train, KilledAtAnyMomentItResumesToTheSameModel) {
  const auto begin = std::chrono::steady_clock::now();
  ASSERT_EQ(run(tiny("straight")).status, 0);
  const std::chrono::duration<float, std::nano> whole = std::chrono::steady_clock::now() - begin;
  const std::string wanted = core::read_file(path("straight/model.safetensors"));
  core::Rng rng(static_cast<uint64_t>(::getpid()), core::Stream::kTest);
  int kills = 0;
  for (int attempt = 0; attempt < 60; ++attempt) {
    const bool begun = fs::exists(path("run/checkpoint.safetensors"));
    const pid_t child = start(tiny("run", begun ? std::vector<std::string>{"--resume"} : std::vector<std::string>{}));
    // The first kill comes well before the end, later ones leave more and more time, so that the test ends.
    const float part = rng.uniform(0.05F, 0.5F + 0.1F * static_cast<float>(attempt));
    const std::chrono::nanoseconds wait(static_cast<int64_t>(part * whole.count()));
    std::this_thread::sleep_for(wait);
    ::kill(child, SIGKILL);
    const Result r = finish(child);
    if (r.status == 0) break;
    ASSERT_EQ(r.status, -1) << "a checkpoint that a kill left must load: " << r.err;
    ++kills;
  }
  EXPECT_GT(kills, 0);
  const Result last =
      run(tiny("run", fs::exists(path("run/checkpoint.safetensors")) ? std::vector<std::string>{"--resume"}
                                                                     : std::vector<std::string>{}));
  ASSERT_EQ(last.status, 0) << last.err;
  EXPECT_EQ(core::read_file(path("run/model.safetensors")), wanted) << "after " << kills << " kills";
}

TEST_F(Train, BadRequestsLeaveNothingBehind) {
  const auto with = [&](std::vector<std::string> more) { return tiny("run", std::move(more)); };
  refused({"train", "--zoo", "lenet", "--data", "nowhere", "--out", "run"}, "data 'nowhere' not found");
  refused({"train", "--spec", "nowhere.json", "--data", kData, "--out", "run"}, "nowhere.json");
  refused(with({"--epochs", "0"}), "epochs is 0");
  refused(with({"--optimizer", "sdg"}), "optimizer 'sdg': wanted sgd, adam or rmsprop");
  refused(with({"--schedule", "linear"}), "schedule 'linear'");
  refused(with({"--augment", "yes"}), "--augment yes: wanted on or off");
  refused(with({"--validation", "1.5"}), "--validation 1.5");
  refused(with({"--patience", "2"}), "add --validation");
  refused(with({"--limit", "-1"}), "--limit -1");
  refused(with({"--json", "no/where.json"}), "no/where.json: cannot write");
  core::write_file_atomically(path("wrong.json"), R"({"name": "x", "input": [8, 8, 3], "layers": [)");
  refused({"train", "--spec", "wrong.json", "--data", kData, "--out", "run"}, "wrong.json");
  EXPECT_FALSE(fs::exists(path("run")));
}

// Nobody looks at the weights after the last step but the evaluation.
TEST_F(Train, RuinedWeightsAreNoSuccess) {
  refused({"train", "--zoo", "lenet", "--data", kData, "--limit", "32", "--batch", "32", "--epochs", "1", "--lr",
           "1e25", "--schedule", "constant", "--out", "run"},
          " is nan after step 1 (epoch 1 of training ended with ");
  EXPECT_FALSE(fs::exists(path("run/model.safetensors")));
  ASSERT_EQ(run(tiny("good")).status, 0);
  nn::Model model = nn::load_model(path("good/model.safetensors"));
  for (float& v : model.parameters.all()) v = -std::numeric_limits<float>::quiet_NaN();
  nn::save_model(path("bad.safetensors"), model.spec, model.parameters, model.metadata);
  refused({"eval", "--model", "bad.safetensors", "--data", kData},
          "bad.safetensors: tensor conv1.weight holds nan at (0, 0, 0, 0)");
}

TEST_F(Train, LimitTakesImagesOfEveryClass) {
  const Result r = run(tiny("run", {"--limit", "40", "--json", "train.json"}));
  ASSERT_EQ(r.status, 0) << r.err;
  ASSERT_EQ(
      run({"eval", "--model", "run/model.safetensors", "--data", kData, "--limit", "20", "--json", "e.json"}).status,
      0);
  const nlohmann::json evaluation = json("e.json");
  EXPECT_EQ(evaluation["examples"], 20);
  for (const auto& row : evaluation["classes"]) EXPECT_GT(row["examples"], 0);
}

TEST_F(Train, DataInfoShowsTheSplitThatIsThere) {
  const datasets::Bytes image = datasets::make_png(4, 4, datasets::ramp(4, 4, 3));
  fs::create_directories(path("set/train/cat"));
  core::write_file_atomically(path("set/train/cat/1.png"),
                              std::string_view(reinterpret_cast<const char*>(image.data()), image.size()));
  const Result r = run({"data", "info", "--data", "set", "--json", "info.json"});
  ASSERT_EQ(r.status, 0) << r.err;
  EXPECT_THAT(r.out, HasSubstr("no test images"));
  EXPECT_EQ(json("info.json")["train"]["examples"], 1);
  EXPECT_FALSE(json("info.json").contains("test"));
  fs::rename(path("set/train"), path("set/other"));
  refused({"data", "info", "--data", "set", "--json", "-"}, "set: holds no train data");
}

TEST_F(Train, EvalTellsTheTopFiveOfManyClasses) {
  const std::string data = "synthetic:classes=12,height=8,width=8,train=60,test=60";
  const std::vector<std::string> train = {"train", "--zoo", "lenet",   "--data", data, "--epochs",
                                          "1",     "--lr",  "0.00001", "--out",  "run"};
  const Result t = run(train);
  ASSERT_EQ(t.status, 0) << t.err;
  const Result e = run({"eval", "--model", "run/model.safetensors", "--data", data, "--json", "e.json"});
  EXPECT_THAT(e.out, HasSubstr("% (top 5: "));
  EXPECT_GT(json("e.json")["accuracy_top5"], json("e.json")["accuracy"]);  // untrained: about 5/12 and 1/12
}

TEST_F(Train, EvalRefusesWhatDoesNotFit) {
  ASSERT_EQ(run(tiny("run")).status, 0);
  const std::string model = "run/model.safetensors";
  refused({"eval", "--model", model, "--data", "synthetic:classes=5,height=16,width=16,train=10,test=10"}, "class");
  refused({"eval", "--model", model, "--data", "synthetic:classes=4,height=8,width=8,train=10,test=10"}, "(16, 16, 3)");
  std::string bytes = core::read_file(path(model));
  core::write_file_atomically(path("cut.safetensors"), bytes.substr(0, bytes.size() - 10));
  refused({"eval", "--model", "cut.safetensors", "--data", kData}, "cut.safetensors");
  refused({"info", "--model", "cut.safetensors"}, "cut.safetensors");
}

// A folder of images, five a class for training and two for the test.
class TrainOnFiles : public Train {
 protected:
  void put(const std::string& name, int seed) const {
    const datasets::Bytes image = datasets::make_png(16, 16, datasets::ramp(16, 16, 3, seed));
    fs::create_directories(fs::path(path(name)).parent_path());
    core::write_file_atomically(path(name),
                                std::string_view(reinterpret_cast<const char*>(image.data()), image.size()));
  }
  void put_set(const std::string& at) const {
    for (int c = 0; c < 3; ++c)
      for (int i = 0; i < 7; ++i)
        put(fmt::format("{}/{}/{}/{}.png", at, i < 5 ? "train" : "test", std::vector{"cat", "dog", "owl"}[c], i),
            10 * c + i);
  }
  static std::vector<std::string> on(const std::string& data, const std::string& out,
                                     std::vector<std::string> more = {}) {
    std::vector<std::string> a = {"train", "--zoo", "lenet", "--data",    data, "--epochs", "1", "--batch",
                                  "5",     "--lr",  "0.02",  "--threads", "1",  "--out",    out};
    a.insert(a.end(), more.begin(), more.end());
    return a;
  }
};

// A folder too much between split and classes makes one class of everything.
TEST_F(TrainOnFiles, OneClassIsTold) {
  put("set/train/all/1.png", 1);
  put("set/test/all/2.png", 2);
  const Result r = run(on("set", "run"));
  EXPECT_EQ(r.status, 0) << r.err;
  EXPECT_THAT(r.err, HasSubstr("warning: all images are of one class (all), so there is nothing to tell apart"));
  put_set("other");
  EXPECT_THAT(run(on("other", "run2")).err, Not(HasSubstr("one class")));
}

TEST_F(TrainOnFiles, AMovedSetIsFoundAgainAndAChangedOneIsSaid) {
  put_set("setA");
  ASSERT_EQ(run(on("setA", "run", {"--validation", "0.2"})).status, 0) << core::read_file(path("stderr"));
  const std::string model = core::read_file(path("run/model.safetensors"));
  fs::rename(path("setA"), path("setB"));
  refused({"train", "--out", "run", "--resume"}, "add --data PATH to --resume");
  const Result moved = run({"train", "--out", "run", "--resume", "--data", "setB"});
  EXPECT_EQ(moved.status, 0) << moved.err;
  EXPECT_EQ(core::read_file(path("run/model.safetensors")), model);
  put("setB/train/cat/9.png", 9);
  refused({"train", "--out", "run", "--resume", "--data", "setB"},
          "cannot resume: the images have changed: train: had 15 images, now 16");
  fs::remove(path("setB/train/cat/9.png"));
  fs::rename(path("setB/train/cat"), path("setB/train/x"));
  fs::rename(path("setB/train/dog"), path("setB/train/cat"));
  fs::rename(path("setB/train/x"), path("setB/train/dog"));
  const Result exchanged = run({"train", "--out", "run", "--resume", "--data", "setB"});
  EXPECT_EQ(exchanged.status, 0);
  EXPECT_THAT(exchanged.err, HasSubstr("warning: run/checkpoint.safetensors: train: 15 images of the same names as "
                                       "before, but of other contents (folders exchanged?"));
}

TEST_F(TrainOnFiles, ACompressionKnowsWhatItsOriginalHasSeen) {
  put_set("set");
  ASSERT_EQ(run(on("set", "run", {"--validation", "0.4"})).status, 0) << core::read_file(path("stderr"));
  const auto compress = [&](const std::string& data, std::vector<std::string> more) {
    std::vector<std::string> a = {"compress",
                                  "--model",
                                  "run/model.safetensors",
                                  "--data",
                                  data,
                                  "--method",
                                  "knapsack",
                                  "--target-size",
                                  "60%",
                                  "--stage-steps",
                                  "1",
                                  "--rounds",
                                  "1",
                                  "--search-batch",
                                  "5",
                                  "--epochs",
                                  "1",
                                  "--batch",
                                  "5",
                                  "--threads",
                                  "1",
                                  "--out",
                                  "small"};
    a.insert(a.end(), more.begin(), more.end());
    return a;
  };
  const Result c = run(compress("set", {}));
  ASSERT_EQ(c.status, 0) << c.err;
  EXPECT_THAT(c.err, HasSubstr("validation: 6 images that run/model.safetensors was not trained on"));
  EXPECT_EQ(c.err.find("optimistic"), std::string::npos) << c.err;
  fs::rename(path("set"), path("moved"));
  const Result moved = run(compress("moved", {"--resume"}));
  EXPECT_EQ(moved.status, 0) << moved.err;
  put("moved/test/cat/9.png", 9);
  refused(compress("moved", {"--resume"}), "cannot resume: the images have changed: test: had 6 images, now 7");
  ASSERT_EQ(run(on("moved", "all")).status, 0);
  std::vector<std::string> seen = compress("moved", {});
  *(std::find(seen.begin(), seen.end(), "--model") + 1) = "all/model.safetensors";
  seen.back() = "small2";
  const Result s = run(seen);
  ASSERT_EQ(s.status, 0) << s.err;
  EXPECT_THAT(s.err, HasSubstr("warning: all/model.safetensors was trained on all of these images"));
}

TEST_F(TrainOnFiles, ATestSetMayLackAClass) {
  put_set("set");
  fs::remove_all(path("set/test/owl"));
  fs::create_directories(path("set/test/owl"));
  fs::create_directories(path("set/train/.ipynb_checkpoints"));
  const Result t = run(on("set", "run"));
  ASSERT_EQ(t.status, 0) << t.err;
  EXPECT_THAT(t.err, HasSubstr("no images of 1 of the 3 classes (owl)"));
  EXPECT_THAT(t.err, HasSubstr("hidden folder (.name, __MACOSX) is no class and skipped (first: .ipynb_checkpoints)"));
  fs::remove_all(path("set/test/owl"));
  const Result e = run({"eval", "--model", "run/model.safetensors", "--data", "set", "--json", "e.json"});
  ASSERT_EQ(e.status, 0) << e.err;
  EXPECT_EQ(json("e.json")["examples"], 4);
  ASSERT_EQ(json("e.json")["classes"].size(), 3u);
  EXPECT_EQ(json("e.json")["classes"][2]["examples"], 0);
  put("set/test/yak/1.png", 1);
  refused({"eval", "--model", "run/model.safetensors", "--data", "set"}, "class 'yak' is in");
  fs::create_directories(path("set/train/yak"));
  refused(on("set", "other"), "class folder 'yak' holds no images; fill or remove it");
}

TEST_F(TrainOnFiles, SizesThatCannotBeAreSaid) {
  refused(on("set", "run", {"--image-size", "100000"}), "--image-size 100000: wanted 0 (as they are) to 8192");
  EXPECT_THAT(run({"data", "info", "--data", kData, "--image-size", "100000"}).err, HasSubstr("--image-size 100000: "));
  put_set("set");
  refused(on("set", "run", {"--image-size", "4"}), "wants larger images than (4, 4, 3); add --augment off");
}

}  // namespace
}  // namespace fdi::cli
