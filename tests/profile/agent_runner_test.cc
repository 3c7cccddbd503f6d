// The runner against agents that the test writes as shell scripts: they die, hang, talk nonsense, or are of another
// build; and against the real agent.
#include "profile/agent_runner.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/file.h"
#include "device/version.h"
#include "profile/campaign.h"
#include "profile/sampler.h"
#include "tests/temp_folder.h"

namespace fdi::profile {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr AgentPatience kImpatient{.hello_seconds = 5, .measure_seconds = 5, .retry_seconds = 0.01};

device::Job one_layer() {
  device::Component c;
  c.layer.op = nn::Op::kFc;
  c.layer.name = "fc";
  c.layer.inputs = {nn::LayerSpec::kInput};
  c.layer.attr.units = 4;
  c.in = {nn::Shape{8}};
  return device::job_of(std::span(&c, 1));
}

class ScriptedAgent : public ::testing::Test, public TempFolder {
 protected:
  // A shell script that greets, counts its starts in the file "starts" ($starts) and goes on with `body`; $n is the
  // number of each request and `reading N` answers request N.
  std::string script(const std::string& body, const std::string& version = std::string(device::build_version())) const {
    device::Identity identity;
    identity.machine = "script";
    const nlohmann::json hello = {{"answer", "hello"},
                                  {"protocol", device::kProtocol},
                                  {"version", version},
                                  {"engines", {"native"}},
                                  {"isas", {"scalar"}},
                                  {"ops", {"fc"}},
                                  {"identity", device::identity_to_json(identity)}};
    device::Reading reading;
    reading.total = {.min_us = 1, .median_us = 2, .mean_us = 3, .rel_mad = 0, .runs = 7};
    reading.layers = {reading.total};
    reading.reference_us = 60;
    std::ofstream(path("agent")) << "#!/bin/sh\necho >>'" << path("starts") << "'\nstarts=$(wc -l <'" << path("starts")
                                 << "')\nread line\necho '" << hello.dump()
                                 << "'\nreading() { echo '{\"answer\":\"reading\",\"id\":'\"$1\"',"
                                 << "\"reading\":" << device::reading_to_json(reading).dump() << "}'; }\n"
                                 << body;
    ::chmod(path("agent").c_str(), 0755);
    return path("agent");
  }
  int starts() const {
    const std::string text = core::read_file(path("starts"));
    return static_cast<int>(std::count(text.begin(), text.end(), '\n'));
  }
  std::unique_ptr<AgentRunner> runner(const std::string& command) const {
    return std::make_unique<AgentRunner>("exec:" + command, std::vector<std::string>{"/bin/sh", "-c", command},
                                         EngineSettings{}, kImpatient);
  }
  // What connecting, or measuring once connected, complains about.
  std::string complaint(const std::string& command) const {
    try {
      runner(command)->measure(one_layer(), {});
    } catch (const core::Error& e) {
      EXPECT_THAT(e.what(), HasSubstr("exec:"));
      EXPECT_EQ(std::string(e.what()).find('\n'), std::string::npos) << "not one line: " << e.what();
      return e.what();
    }
    return "nothing";
  }
};

TEST_F(ScriptedAgent, AnswersWhatItIsAsked) {
  const auto agent = runner(script("n=0; while read line; do n=$((n+1)); reading $n; done"));
  EXPECT_EQ(agent->identity().machine, "script");
  EXPECT_FALSE(agent->identity().emulated);
  EXPECT_TRUE(agent->supports(nn::Op::kFc));
  EXPECT_FALSE(agent->supports(nn::Op::kConv2d));
  for (int i = 0; i < 3; ++i) EXPECT_EQ(agent->measure(one_layer(), {}).total.median_us, 2);
  EXPECT_EQ(starts(), 1);
}

TEST_F(ScriptedAgent, CarriageReturnsOfATerminalDoNotMatter) {
  const auto agent = runner(script("read line; reading 1 | sed 's/$/\\r/'; read line"));
  EXPECT_EQ(agent->measure(one_layer(), {}).total.median_us, 2);
}

TEST_F(ScriptedAgent, ThatDiesIsStartedAnewAndAskedAgain) {
  // The first one answers once and dies at the second request; the next one is asked for request 2.
  const auto agent =
      runner(script("if [ $starts = 1 ]; then read line; reading 1; read line; exit 3; fi\n"
                    "read line; case $line in *'\"id\":2'*) reading 2;; esac; read line"));
  agent->measure(one_layer(), {});
  EXPECT_EQ(agent->measure(one_layer(), {}).total.runs, 7);
  EXPECT_EQ(starts(), 2);
}

TEST_F(ScriptedAgent, ThatHangsIsStartedAnew) {
  const auto command = script("if [ $starts = 1 ]; then sleep 100; fi; read line; reading 1; read line");
  AgentPatience patience = kImpatient;
  patience.measure_seconds = 0.3;
  AgentRunner agent("exec:" + command, {command}, {}, patience);
  EXPECT_EQ(agent.measure(one_layer(), {}).total.runs, 7);
  EXPECT_EQ(starts(), 2);
}

TEST_F(ScriptedAgent, ThatAlwaysDiesIsGivenUpAfterThreeTimes) {
  const std::string text = complaint(script("read line; exit 3"));
  EXPECT_THAT(text, HasSubstr("lost 3 times"));
  EXPECT_THAT(text, HasSubstr("[fc fc]"));
  EXPECT_THAT(text, HasSubstr("exit status 3"));
  EXPECT_EQ(starts(), 3);
}

TEST_F(ScriptedAgent, ThatCannotBeStarted) {
  EXPECT_THAT(complaint(path("nothing")),
              AllOf(HasSubstr("exit status 127"),
                    HasSubstr("the command, or a program that it starts, is not found; if the agent is not built yet: "
                              "`./setup.sh --agent aarch64` (or armv7, x86_64), then `--device exec:COMMAND`")));
  EXPECT_THROW(AgentRunner("ssh:x", {path("no-such-ssh")}, {}, kImpatient), core::Error);
}

TEST_F(ScriptedAgent, ThatTalksNonsense) {
  const std::string text = complaint(script("read line; echo Segmentation fault; read line"));
  EXPECT_THAT(text, HasSubstr("Segmentation fault"));
  EXPECT_THAT(text, HasSubstr("fastdeepiot-agent"));
  EXPECT_EQ(starts(), 1);  // asking again would not help
  EXPECT_THAT(complaint("echo Welcome to the board"), HasSubstr("Welcome to the board"));
  EXPECT_THAT(complaint(script("read line; echo '[1]'; read line")), HasSubstr("wanted an object"));
  EXPECT_THAT(complaint(script("read line; echo '{\"answer\":\"reading\",\"id\":1,\"reading\":{}}'; read line")),
              HasSubstr("\"total\" is missing"));
}

TEST_F(ScriptedAgent, ThatAnswersForAnotherRequest) {
  const std::string text = complaint(script("read line; reading 41; read line"));
  EXPECT_THAT(text, HasSubstr("answered request 41 when asked 1"));
  EXPECT_THAT(complaint(script("read line; reading 1 | sed 's/\"id\":1,//'; read line")),
              HasSubstr("\"id\" is missing"));
}

// Stored, it would spoil the whole run.
TEST_F(ScriptedAgent, ThatAnswersForOtherLayers) {
  const auto agent = runner(script("read line; reading 1; read line"));
  device::Job two = one_layer();
  two.networks.push_back(two.networks[0]);
  try {
    agent->measure(two, {});
    FAIL() << "was taken";
  } catch (const core::Error& e) {
    EXPECT_THAT(e.what(), HasSubstr("answered times of 1 layers when asked for 2; start it anew"));
  }
}

// A model is asked for once: who asks can go on without.
TEST_F(ScriptedAgent, LostWhileAskedForItsModel) {
  const auto agent = runner(script("read line; exit 1"));
  for (const bool keep : {false, true}) try {
      keep ? (void)agent->keep_model({}) : (void)agent->kept_model();
      ADD_FAILURE() << "nobody answered";
    } catch (const core::Error& e) {
      EXPECT_THAT(e.what(), HasSubstr(": the connection is lost ("));
    }
  EXPECT_EQ(starts(), 2);
}

TEST_F(ScriptedAgent, OfAnotherBuild) {
  const std::string text = complaint(script("read line; reading 1", "0.0.1+abc"));
  EXPECT_THAT(text, HasSubstr("0.0.1+abc"));
  EXPECT_THAT(text, HasSubstr(std::string(device::build_version())));
  EXPECT_THAT(text, HasSubstr("build the agent"));
}

TEST_F(ScriptedAgent, WhoseErrorIsPassedOn) {
  const std::string text =
      complaint(script("read line; echo '{\"answer\":\"error\",\"id\":1,\"message\":\"no memory left\"}'; read line"));
  EXPECT_THAT(text, HasSubstr("no memory left"));
  EXPECT_EQ(starts(), 1);
}

TEST_F(ScriptedAgent, AnEmulatorInTheCommandMarksTheDevice) {
  const std::string command = script("read line; reading 1");
  std::filesystem::copy_file(command, path("qemu-arm"));
  EXPECT_TRUE(runner(path("qemu-arm"))->identity().emulated);
}

// A shell there prints its messages first.
TEST_F(ScriptedAgent, WhatTheShellPrintsBeforeTheGreetingIsPassedOver) {
  const std::string agent = script("n=0; while read line; do n=$((n+1)); reading $n; done");
  const std::string prints = "echo 'Welcome to Raspbian'; echo; echo 2026; echo '[1]'; printf '\\033[1m\\n'; exec '";
  EXPECT_EQ(runner(prints + agent + "'")->measure(one_layer(), {}).total.runs, 7);
  const std::string text = complaint("echo 'bash: fastdeepiot-agent: \033[31mnot found'; exit 127");
  EXPECT_THAT(text, AllOf(HasSubstr("no agent answers (exit status 127; what it prints ends in \"bash: "),
                          HasSubstr("\\x1b[31mnot found\")")));
  EXPECT_THAT(complaint("cat"),
              AllOf(HasSubstr("{\"ask\":\"hello\""), HasSubstr("came instead of an agent's greeting")));
  EXPECT_THAT(complaint("yes"), HasSubstr("\"y\" came instead of an agent's greeting"));
}

TEST_F(ScriptedAgent, AnErrorBeforeTheGreetingIsOneLine) {
  EXPECT_THAT(complaint(R"(read line; printf '%s\n' '{"answer":"error","message":"\u001b[31mred\ntwo"}')"),
              HasSubstr(R"(: \x1b[31mred\ntwo)"));
}

// ssh and adb as programs in front of $PATH that write down their arguments and start the agent here.
TEST_F(ScriptedAgent, SshAndAdbAreCalledWithTheRightWords) {
  const std::string agent = script("n=0; while read line; do n=$((n+1)); reading $n; done");
  for (const char* program : {"ssh", "adb"}) {
    std::ofstream(path(program)) << "#!/bin/sh\necho \"$@\" >'" << path(program) << ".words'\nexec '" << agent << "'\n";
    ::chmod(path(program).c_str(), 0755);
  }
  const std::string old_path = std::getenv("PATH");
  ::setenv("PATH", (dir_.string() + ":" + old_path).c_str(), 1);
  EXPECT_EQ(make_runner("ssh:pi@board", {})->measure(one_layer(), {}).total.runs, 7);
  EXPECT_EQ(core::read_file(path("ssh.words")), "-T -o BatchMode=yes pi@board fastdeepiot-agent\n");
  make_runner("ssh:board:/opt/agent", {});
  EXPECT_EQ(core::read_file(path("ssh.words")), "-T -o BatchMode=yes board /opt/agent\n");
  const auto words_of = [&](const std::string& where) {
    make_runner(where, {});
    return core::read_file(path("ssh.words"));
  };
  const std::string ssh = "-T -o BatchMode=yes ";
  EXPECT_EQ(words_of("ssh:pi@board:/opt/my agent"), ssh + "pi@board '/opt/my agent'\n");
  EXPECT_EQ(words_of("ssh:board:~/my agent"), ssh + "board ~/'my agent'\n");
  EXPECT_EQ(words_of("ssh:board:/opt/a@b"), ssh + "board /opt/a@b\n");
  EXPECT_EQ(words_of("ssh:[2001:db8::1]:/opt/a"), ssh + "2001:db8::1 /opt/a\n");
  EXPECT_EQ(words_of("ssh:pi@[2001:db8::1]"), ssh + "pi@2001:db8::1 fastdeepiot-agent\n");
  EXPECT_EQ(words_of("ssh:pi@fe80::1"), ssh + "pi@fe80::1 fastdeepiot-agent\n");
  EXPECT_EQ(words_of("ssh:fe80::1%eth0:/opt/a"), ssh + "fe80::1%eth0 /opt/a\n");
  for (const auto& [status, remedy] :
       {std::pair(255, "exit status 255); ssh itself failed, see its message; `ssh -o BatchMode=yes pi@board true`"),
        {127,
         "exit status 127); /opt/a is not found there; if the agent is not built yet: `./setup.sh --agent aarch64` (or "
         "armv7, x86_64), then `scp build/aarch64/fastdeepiot-agent pi@board:` and `--device "
         "ssh:pi@board:./fastdeepiot-agent`"},
        {126,
         "exit status 126); /opt/a cannot be executed there; the agent has to be built for that machine: "
         "`./setup.sh"}}) {
    std::ofstream(path("ssh")) << "#!/bin/sh\nexit " << status << "\n";
    try {
      make_runner("ssh:pi@board:/opt/a", {});
      ADD_FAILURE() << "nobody answers";
    } catch (const core::Error& e) {
      EXPECT_THAT(e.what(), HasSubstr(std::string("ssh:pi@board:/opt/a: no agent answers (") + remedy));
      const bool copy = std::string(e.what()).find("`scp build/aarch64/fastdeepiot-agent pi@") != std::string::npos;
      EXPECT_EQ(copy, status != 255) << e.what();
    }
  }
  // scp takes an IPv6 address in brackets only, ssh without.
  const auto complains = [](const std::string& where) -> std::string {
    try {
      make_runner(where, {});
    } catch (const core::Error& e) {
      return e.what();
    }
    return "nothing";
  };
  std::ofstream(path("ssh")) << "#!/bin/sh\nexit 127\n";
  EXPECT_THAT(complains("ssh:pi@[fe80::1]:/opt/a"),
              AllOf(HasSubstr("`scp build/aarch64/fastdeepiot-agent 'pi@[fe80::1]:'`"),
                    HasSubstr("`--device 'ssh:pi@[fe80::1]:./fastdeepiot-agent'`")));
  EXPECT_THAT(complains("ssh:2001:db8::1"), HasSubstr("agent '[2001:db8::1]:'`"));
  std::ofstream(path("ssh")) << "#!/bin/sh\nexit 255\n";
  EXPECT_THAT(complains("ssh:pi@[fe80::1]"), HasSubstr("`ssh -o BatchMode=yes pi@fe80::1 true`"));
  make_runner("adb:10.0.0.2:5555", {});
  EXPECT_EQ(core::read_file(path("adb.words")),
            "-s 10.0.0.2:5555 shell -T FASTDEEPIOT_MODELS=/data/local/tmp/fastdeepiot-models "
            "/data/local/tmp/fastdeepiot-agent\n");
  std::ofstream(path("adb")) << "#!/bin/sh\nexit 127\n";
  EXPECT_THAT(complains("adb:10.0.0.2:5555"),
              HasSubstr("`./setup.sh --agent aarch64` (or armv7, x86_64), then `adb -s 10.0.0.2:5555 push "
                        "build/aarch64/fastdeepiot-agent /data/local/tmp/`"));
  ::setenv("PATH", old_path.c_str(), 1);
}

TEST(MakeRunner, RefusesWhatNamesNoDevice) {
  for (const char* where :
       {"", "ssh", "ssh:", "adb:", "exec:", "telnet:board", "board", "ssh:-oProxyCommand=x", "ssh:[-x]", "ssh:[fe80::1",
        "ssh:[board]", "ssh:[fe80::1]/opt", "ssh:board:", "ssh:pi@", "ssh:board::b"})
    EXPECT_THROW(make_runner(where, {}), core::Error) << where;
}

TEST(MakeRunner, LocalTimesInThisProcess) {
  const auto runner = make_runner("local", {.engine = "native", .isa = "scalar", .threads = 1});
  EXPECT_EQ(runner->identity().isa, "scalar");
  EXPECT_TRUE(runner->supports(nn::Op::kConv2d));
  const device::Reading r = runner->measure(one_layer(), {.min_runs = 3, .max_runs = 3});
  EXPECT_EQ(r.total.runs, 3);
  EXPECT_GT(r.total.median_us, 0);
  EXPECT_THROW(make_runner("local", {.engine = "nobody"}), core::Error);
  EXPECT_THROW(make_runner("local", {.isa = "mmx"}), core::Error);
  make_runner("local", {});
}

// The real agent: this machine's, or, in the checks on ARM, the one that FDI_TEST_AGENT starts under qemu.
class RealAgent : public ScriptedAgent {
 protected:
  static const char* emulated() { return std::getenv("FDI_TEST_AGENT"); }
  // Behind a script, so that nothing in the command's name tells of an emulator: the agent must find out by itself.
  std::string command() const {
    std::ofstream(path("start")) << "#!/bin/sh\nexec " << (emulated() != nullptr ? emulated() : "'" FDI_AGENT "'")
                                 << "\n";
    ::chmod(path("start").c_str(), 0755);
    return "exec:'" + path("start") + "'";
  }
};

TEST_F(RealAgent, TimesACampaign) {
  const auto runner = make_runner(command(), {.engine = "native", .isa = "scalar", .threads = 1});
  EXPECT_EQ(runner->identity().isa, "scalar");
  EXPECT_EQ(runner->identity().emulated, emulated() != nullptr);
  std::vector<device::Component> components;
  for (const int units : {3, 4, 16, 17}) {
    device::Component c;
    c.layer.op = nn::Op::kConv2d;
    c.layer.name = "conv";
    c.layer.inputs = {nn::LayerSpec::kInput};
    c.layer.attr.units = units;
    c.layer.attr.kernel = {3, 3};
    c.in = {nn::Shape{6, 6, 5}};
    components.push_back(c);
  }
  CampaignOptions options;
  options.passes = 2;
  options.measure.max_seconds = 0.01;
  const std::vector<device::Job> jobs = in_turn(components, 1);
  const CampaignResult result = run_campaign(*runner, jobs, {}, options);
  EXPECT_EQ(result.readings.size(), 2U);
  const std::vector<Sample> samples = combine(jobs, result.readings);
  ASSERT_EQ(samples.size(), 4U);
  for (const Sample& sample : samples) {
    EXPECT_GT(sample.time.median_us, 0);
    EXPECT_GE(sample.time.runs, 2 * options.measure.min_runs);
  }
}

TEST_F(RealAgent, RefusesWhatItDoesNotHave) {
  try {
    make_runner(command(), {.isa = "mmx"});
    ADD_FAILURE() << "an instruction set that nobody has";
  } catch (const core::Error& e) {
    EXPECT_THAT(e.what(), HasSubstr("\"mmx\" is not available"));
  }
}

}  // namespace
}  // namespace fdi::profile
