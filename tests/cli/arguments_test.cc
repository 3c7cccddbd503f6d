// Wrong command lines: exit status 2 and one line that says what to do; help is help.
#include <gmock/gmock.h>

#include <algorithm>

#include "core/threads.h"
#include "profile/store.h"
#include "tests/cli/program.h"

namespace fdi::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

class Arguments : public Program {
 protected:
  void refused(const std::vector<std::string>& arguments, const std::string& message) {
    const Result r = run(arguments);
    std::string line;
    for (const std::string& a : arguments) line += a + " ";
    SCOPED_TRACE(line);
    EXPECT_EQ(r.status, 2);
    EXPECT_EQ(r.out, "");
    EXPECT_THAT(r.err, StartsWith("fastdeepiot: "));
    EXPECT_THAT(r.err, HasSubstr(message));
    EXPECT_EQ(std::count(r.err.begin(), r.err.end(), '\n'), 1) << r.err;
  }
};

TEST_F(Arguments, EveryCommandHasHelpWithAnExample) {
  const Result all = run({"--help"});
  EXPECT_EQ(all.status, 0);
  EXPECT_EQ(all.err, "");
  EXPECT_THAT(all.out, ::testing::ContainsRegex("Start with ./demo.sh(.|\n)*Train:\n  train (.|\n)*Measure and predict "
                                                "times:\n  profile (.|\n)*Compress:\n  compress "));
  for (const char* command : {"train", "eval", "info", "data"}) {
    EXPECT_THAT(all.out, HasSubstr(command));
    const Result r = run({command, "--help"});
    EXPECT_EQ(r.status, 0) << command;
    EXPECT_THAT(r.out, HasSubstr("Example")) << command;
    EXPECT_THAT(r.out, HasSubstr(std::string("fastdeepiot ") + command));
  }
  for (const char* command : {"train", "eval", "info"}) {
    const Result r = run({command, "--help"});
    for (const char* flag : {"--json", "--threads", "--isa", "--gemm", "--seed"}) EXPECT_THAT(r.out, HasSubstr(flag));
  }
}

TEST_F(Arguments, MistakesNameTheRemedy) {
  refused({"info", "\u2013\u2013zoo", "lenet"}, "begins with a dash that is no hyphen");
  refused({}, "which command? give one of train, eval, ");
  refused({"data"}, "which command? give one of info, download; see fastdeepiot data --help");
  refused({"trian"}, "there is no command 'trian'; did you mean train?");
  refused({"data", "inof"}, "there is no command 'inof'; did you mean info?; see fastdeepiot data --help");
  refused({"train", "--out", "run", "--epoch", "3"}, "did you mean --epochs?");
  refused({"train", "--zoo", "lenet"}, "--out");
  refused({"train", "--zoo", "lenet", "--out", "run", "--epochs", "many"}, "--epochs");
  refused({"train", "--out", "run"}, "--zoo");
  refused({"train", "--zoo", "lenett", "--data", "synthetic", "--out", "run"}, "lenet");
  refused({"info", "--zoo", "lenet", "--threads", "0"}, "--threads 0: wanted a number from 1");
  refused({"info", "--zoo", "lenet", "--threads", "-3"}, "--threads -3: wanted a number from 1");
  refused({"info", "--zoo", "lenet", "--isa", "avx1024"}, "avx1024");
  refused({"info", "--zoo", "lenet", "--gemm", "mkl"}, "--gemm mkl: wanted native or openblas");
  refused({"info"}, "--zoo");
  refused({"info", "--zoo", "lenet", "--spec", "x.json"}, "give one of them, not both; see fastdeepiot info --help");
  refused({"expand", "--model", "m", "--verify", "maybe"}, "--verify maybe: wanted one of on,off");
  refused({"bench", "gemm", "--runs", "0"}, "--runs 0: wanted 1 to 1000000");
  refused({"train", "--zoo", "lenet", "--out", "run", "--lr"}, "--lr: X is missing behind it");
  refused({"info", "--spec", "caf\xe9.json"}, "argument 'caf\\xe9.json' is no UTF-8");
  core::write_file_atomically(path("huge.json"), R"({"name": "x", "input": [8], "layers": [
    {"op": "dropout", "name": "d", "inputs": ["input"], "rate": 1e999}]})");
  refused({"info", "--spec", "huge.json"}, "huge.json: not JSON: a number is out of range");
  core::write_file_atomically(path("cut.json"), R"({"name": )");
  refused({"info", "--spec", "cut.json"}, "cut.json: byte ");
  refused({"info", "--model", "nowhere.safetensors"}, "nowhere.safetensors");
  refused({"eval", "--model", "nowhere.safetensors", "--data", "synthetic"}, "nowhere.safetensors");
  refused({"data", "info", "--data", "nowhere"}, "nowhere");
  EXPECT_FALSE(std::filesystem::exists(path("run"))) << "a refused command must leave nothing behind";
}

// Nothing wraps around, and nothing that is no number counts as one.
TEST_F(Arguments, NumbersAreWhatTheySay) {
  const std::string largest = "18446744073709551615";
  const auto seed = [&](const std::string& text) {
    return std::vector<std::string>{"info", "--zoo", "lenet", "--seed", text};
  };
  for (const char* wrong : {"-1", "18446744073709551616", "1.5", "0x10", "", "many"})
    refused(seed(wrong), ": wanted a whole number from 0 to " + largest);
  for (const std::string& right : {std::string("0"), largest, std::string("007")})
    EXPECT_EQ(run(seed(right)).status, 0) << right;
  const std::vector<std::string> train = {"train", "--zoo", "lenet", "--data", "synthetic", "--out", "run"};
  const auto with = [&](const char* option, const char* value) {
    std::vector<std::string> a = train;
    a.insert(a.end(), {option, value});
    return a;
  };
  refused(with("--epochs", "4294967297"), "--epochs 4294967297: out of range");
  refused(with("--epochs", "many"), "--epochs many: wanted a whole number");
  refused(with("--limit", "99999999999999999999"), "--limit 99999999999999999999: wanted a whole number");
  refused(with("--lr", "fast"), "--lr fast: wanted a number, e.g. 0.5");
  for (const char* wrong : {"nan", "inf", "1e999", "0,5", "1e-3x"})
    refused(with("--lr", wrong), std::string("--lr ") + wrong + ": wanted a number");
  refused({"compress", "--model", "m", "--data", "synthetic", "--out", "run", "--max-ms", "12ms"},
          "--max-ms 12ms: wanted a number, e.g. 0.5");
  const Result ten = run({"info", "--zoo", "lenet", "--batch", "010"});  // not octal
  EXPECT_THAT(ten.out, HasSubstr("at batch 10"));
}

TEST_F(Arguments, TheVersionTellsTheSources) {
  const Result r = run({"--version"});
  EXPECT_EQ(r.status, 0);
  EXPECT_EQ(r.err, "");
  EXPECT_THAT(r.out, ::testing::MatchesRegex("fastdeepiot [0-9.]+[+][0-9a-f]+\n"));
}

TEST_F(Arguments, MoreThreadsThanProcessorsAreAllowedWithAWarning) {
  const Result r = run({"info", "--zoo", "lenet", "--threads", "1024"});
  EXPECT_EQ(r.status, 0);
  EXPECT_THAT(r.err, HasSubstr("1024 threads on "));
  EXPECT_EQ(run({"info", "--zoo", "lenet", "--threads", "1"}).err, "");
  // Training starts itself anew (core/restart.h), and says it once all the same.
  const std::string more = std::to_string(core::hardware_threads() + 1);
  const std::string err =
      run({"train", "--zoo", "lenet", "--data", kData, "--epochs", "1", "--threads", more, "--out", "r"}).err;
  const size_t first = err.find(more + " threads on ");
  ASSERT_NE(first, std::string::npos) << err;
  EXPECT_EQ(err.find(" threads on ", first + 10), std::string::npos) << err;
}

// A table of VGG-16's layers needs none of its 553 MB of weights.
TEST_F(Arguments, InfoTakesNoMemoryForWeights) {
  const Result r = run({"info", "--zoo", "vgg16-imagenet"});
  EXPECT_EQ(r.status, 0) << r.err;
  rusage own{};  // a process begins with the peak of the one that started it
  ::getrusage(RUSAGE_SELF, &own);
  EXPECT_LE(r.peak_bytes, std::max<int64_t>(400 << 20, int64_t{own.ru_maxrss} * 1024));
}

// What is written replaces its like alone: `db export` given the database's own name would end it.
TEST_F(Arguments, OutputReplacesOnlyItsLike) {
  profile::Store(path("f.db"));
  ASSERT_EQ(run({"train", "--zoo", "lenet", "--data", kData, "--epochs", "1", "--out", "r"}).status, 0);
  const std::string model = "r/model.safetensors";
  const std::string database = core::read_file(path("f.db")), weights = core::read_file(path(model));
  refused({"db", "export", "f.db", "--db", "f.db"}, "f.db: is an SQLite database already, which would be lost");
  refused({"info", "--zoo", "lenet", "--json", model}, model + ": is a safetensors file already");
  refused({"info", "--zoo", "lenet", "--json", "f.db"}, "f.db: is an SQLite database already");
  core::write_file_atomically(path("keep.json"), "{}");
  core::write_file_atomically(path("r/result.json"), "{}");
  refused({"shrink", "--model", "r", "--keep", "keep.json", "--out", "f.db"}, "f.db: is an SQLite database already");
  refused({"shrink", "--model", "r", "--keep", "keep.json", "--out", "r/result.json"},
          "r/result.json: is a JSON text already");
  EXPECT_EQ(core::read_file(path("f.db")), database);
  EXPECT_EQ(core::read_file(path(model)), weights);
  core::write_file_atomically(path("net.json"), R"({"name": "n", "input": [20], "layers": [
    {"op": "fc", "name": "a", "inputs": ["input"], "units": 20}]})");
  refused({"info", "--spec", "net.json", "--json", "./net.json"}, "--json ./net.json: is the file of --spec, too");
  core::write_file_atomically(path("s.csv"), "op,in_channel,out_channel,median_us\nfc,8,8,1\n");
  refused({"fit", "--samples", "s.csv", "--out", "s.csv"}, "--out s.csv: is the file of --samples, too");
  core::write_file_atomically(path("x.json"), "");
  for (int again = 0; again < 2; ++again)
    EXPECT_EQ(run({"info", "--zoo", "lenet", "--json", "x.json"}).status, 0) << "its own output of before";
}

TEST_F(Arguments, UnwritableOutputIsFoundBeforeTheWork) {
  refused({"info", "--zoo", "lenet", "--json", "no/such/folder/x.json"}, "no/such/folder/x.json: cannot write");
  refused({"info", "--zoo", "lenet", "--json", "/"}, "/: is a folder");
  core::write_file_atomically(path("file"), "x");
  refused({"train", "--zoo", "lenet", "--data", "synthetic", "--out", "file/run"}, "file/run");
  refused({"train", "--zoo", "lenet", "--data", "synthetic", "--out", "/proc/run"}, "/proc/run");
}

}  // namespace
}  // namespace fdi::cli
