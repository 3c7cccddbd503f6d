#include "profile/agent_runner.h"

#include <nlohmann/json.hpp>

#include <chrono>
#include <thread>
#include <utility>

#include "core/error.h"
#include "core/progress.h"
#include "core/text.h"
#include "device/version.h"

namespace fdi::profile {
namespace {

constexpr const char* kWanted = "wanted a command that starts fastdeepiot-agent and passes its lines on unchanged";

// How a remedy for a missing agent goes on: behind it comes how the agent gets to the device.
std::string build_first(bool missing) {
  return fmt::format("{}: `./setup.sh --agent aarch64` (or armv7, x86_64), then ",
                     missing ? "if the agent is not built yet" : "the agent has to be built for that machine");
}

// "pi@board", "pi@[fe80::1]": a host of ssh as scp and --device take it, with an IPv6 address in brackets.
std::string in_brackets(const std::string& host) {
  const size_t address = host.find('@') + 1;  // 0 where there is no user
  if (host.find(':', address) == std::string::npos) return host;
  return fmt::format("{}[{}]", host.substr(0, address), host.substr(address));
}

// The beginning of what came, fit for one line.
std::string shown(const std::string& text) { return fmt::format("\"{}\"", core::printable(text.substr(0, 80))); }

// What to do where no agent greets. `words` and `how` it ended: see runner.cc and ChildProcess::end.
std::string remedy(const std::vector<std::string>& words, const std::string& how) {
  const bool missing = how.starts_with("exit status 127"), forbidden = how.starts_with("exit status 126");
  if (words.front() == "ssh" && words.size() > 2) {
    const std::string &host = words[words.size() - 2], &path = words.back();
    if (how.starts_with("exit status 255"))
      return fmt::format(
          "ssh itself failed, see its message; `ssh -o BatchMode=yes {} true` must work without a password",
          core::shell_word(host));
    if (missing || forbidden)
      return fmt::format("{} {} there; {}`scp build/aarch64/fastdeepiot-agent {}` and `--device {}`", path,
                         missing ? "is not found" : "cannot be executed", build_first(missing),
                         core::shell_word(in_brackets(host) + ":"),
                         core::shell_word("ssh:" + in_brackets(host) + ":./fastdeepiot-agent"));
  } else if (words.front() == "adb" && words.size() > 2) {
    if (missing || forbidden)
      return fmt::format(
          "/data/local/tmp/fastdeepiot-agent {} there; {}`adb -s {} push build/aarch64/fastdeepiot-agent "
          "/data/local/tmp/`",
          missing ? "is not found" : "cannot be executed", build_first(missing), core::shell_word(words[2]));
  } else if (missing) {
    return fmt::format(
        "the command, or a program that it starts, is not found; {}`--device exec:COMMAND` with the agent's path in "
        "COMMAND (build/aarch64/fastdeepiot-agent; of x86_64: build/fastdeepiot-agent)",
        build_first(true));
  }
  return kWanted;
}

}  // namespace

AgentRunner::AgentRunner(std::string where, std::vector<std::string> words, EngineSettings settings,
                         const AgentPatience& patience)
    : where_(std::move(where)), words_(std::move(words)), settings_(std::move(settings)), patience_(patience) {
  try {
    connect();
  } catch (const Lost& lost) {
    core::fail("{}: no agent answers ({}); {}", where_, lost.how, remedy(words_, lost.how));
  }
}

bool AgentRunner::supports(nn::Op op) { return ops_.contains(std::string(nn::op_name(op))); }

std::string AgentRunner::receive(double seconds) {
  std::string line;
  const auto outcome = agent_->receive(line, device::kMaxLine, seconds);
  if (outcome != ChildProcess::Outcome::kDone) lose(outcome, seconds);
  return line;
}

void AgentRunner::lose(ChildProcess::Outcome outcome, double seconds) {
  const std::string end = agent_->end();
  agent_.reset();
  throw Lost{outcome == ChildProcess::Outcome::kTimeout ? fmt::format("no answer for {:.3g} s", seconds) : end};
}

nlohmann::json AgentRunner::ask(const nlohmann::json& request, double seconds) {
  if (const auto sent = agent_->send(request.dump(), seconds); sent != ChildProcess::Outcome::kDone)
    lose(sent, seconds);
  const std::string line = receive(seconds);
  nlohmann::json answer = nlohmann::json::parse(line, nullptr, false);
  if (answer.is_discarded()) {
    agent_.reset();
    core::fail("{}: {} came instead of an answer; {}", where_, shown(line), kWanted);
  }
  return answer;
}

// What a shell prints before it starts the agent (a message of the day, a line of .bashrc) is passed over.
nlohmann::json AgentRunner::hello() {
  constexpr int kMostLines = 1000;
  constexpr size_t kMostBytes = size_t{1} << 20;
  const double begin = core::monotonic_seconds();
  std::string last;
  size_t bytes = 0;
  try {
    const auto sent = agent_->send(device::hello_request(settings_).dump(), patience_.hello_seconds);
    if (sent == ChildProcess::Outcome::kTimeout) lose(sent, patience_.hello_seconds);  // one that has ended told why
    for (int lines = 0; lines < kMostLines && bytes < kMostBytes; ++lines) {
      const std::string line = receive(patience_.hello_seconds - (core::monotonic_seconds() - begin));
      nlohmann::json answer = nlohmann::json::parse(line, nullptr, false);
      if (answer.is_object() && answer.contains("answer")) return answer;
      last = line;
      bytes += line.size();
      if (answer.is_object()) break;
    }
  } catch (const Lost& lost) {
    throw last.empty() ? lost : Lost{fmt::format("{}; what it prints ends in {}", lost.how, shown(last))};
  }
  agent_.reset();
  core::fail("{}: {} came instead of an agent's greeting; {}", where_, shown(last), kWanted);
}

void AgentRunner::connect() {
  agent_ = std::make_unique<ChildProcess>(words_);
  const device::Greeting greeting = device::greeting_from_json(hello(), where_);
  if (greeting.protocol != device::kProtocol || greeting.version != device::build_version())
    core::fail(
        "{}: the agent is version {} (protocol {}), this program {} ({}): its times would be those of other kernels; "
        "build the agent from the same sources and copy it there",
        where_, greeting.version, greeting.protocol, device::build_version(), device::kProtocol);
  device::Identity found = greeting.identity;
  found.emulated = found.emulated || where_.find("qemu") != std::string::npos;
  if (id_ > 0 && device::key(found) != device::key(identity_))
    core::fail("{}: another device answers after the connection was lost: \"{}\", it was \"{}\"; start anew", where_,
               device::key(found), device::key(identity_));
  identity_ = std::move(found);
  ops_ = {greeting.ops.begin(), greeting.ops.end()};
}

device::Reading AgentRunner::measure(const device::Job& job, const device::MeasureOptions& options) {
  constexpr int kAttempts = 3;
  const int64_t id = ++id_;
  const size_t layers = device::components(job).size();
  std::string how;
  for (int attempt = 0; attempt < kAttempts; ++attempt) try {
      if (attempt > 0) std::this_thread::sleep_for(std::chrono::duration<double>(attempt * patience_.retry_seconds));
      if (agent_ == nullptr) connect();
      return device::answered_reading(ask(device::measure_request(id, job, options), patience_.measure_seconds), id,
                                      layers, where_);
    } catch (const Lost& lost) {
      how = lost.how;
    }
  core::fail("{}: lost {} times while timing {} (last: {}); start the agent by hand there and look at its messages",
             where_, kAttempts, nn::describe(job.networks.front().layers.front()), how);
}

nlohmann::json AgentRunner::ask_once(const nlohmann::json& request) {
  try {
    if (agent_ == nullptr) connect();
    return ask(request, patience_.hello_seconds);
  } catch (const Lost& lost) {
    core::fail("{}: the connection is lost ({}); try again", where_, lost.how);
  }
}

nlohmann::json AgentRunner::kept_model() { return device::answered_model(ask_once(device::model_request()), where_); }

bool AgentRunner::keep_model(const nlohmann::json& model) {
  device::check_kept(ask_once(device::keep_request(model)), where_);
  return true;
}

}  // namespace fdi::profile
