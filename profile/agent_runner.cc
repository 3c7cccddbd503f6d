#include "profile/agent_runner.h"

#include <nlohmann/json.hpp>

#include <chrono>
#include <thread>
#include <utility>

#include "core/error.h"
#include "device/version.h"

namespace fdi::profile {
namespace {

constexpr const char* kWanted = "wanted a command that starts fastdeepiot-agent and passes its lines on unchanged";

// The beginning of what came, fit for one line.
std::string shown(const std::string& text) {
  return nlohmann::json(text.substr(0, 80)).dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
}

}  // namespace

AgentRunner::AgentRunner(std::string where, std::vector<std::string> words, EngineSettings settings,
                         const AgentPatience& patience)
    : where_(std::move(where)), words_(std::move(words)), settings_(std::move(settings)), patience_(patience) {
  try {
    connect();
  } catch (const Lost& lost) {
    core::fail("{}: no agent answers ({}); {}", where_, lost.how, kWanted);
  }
}

bool AgentRunner::supports(nn::Op op) { return ops_.contains(std::string(nn::op_name(op))); }

nlohmann::json AgentRunner::ask(const nlohmann::json& request, double seconds) {
  using Outcome = ChildProcess::Outcome;
  std::string line;
  Outcome outcome = agent_->send(request.dump(), seconds);
  if (outcome == Outcome::kDone) outcome = agent_->receive(line, device::kMaxLine, seconds);
  if (outcome != Outcome::kDone) {
    const std::string end = agent_->end();
    agent_.reset();
    throw Lost{outcome == Outcome::kTimeout ? fmt::format("no answer for {} s", seconds) : end};
  }
  if (!nlohmann::json::accept(line)) {
    agent_.reset();
    core::fail("{}: {} came instead of an answer; {}", where_, shown(line), kWanted);
  }
  return nlohmann::json::parse(line);
}

void AgentRunner::connect() {
  agent_ = std::make_unique<ChildProcess>(words_);
  const device::Greeting greeting =
      device::greeting_from_json(ask(device::hello_request(settings_), patience_.hello_seconds), where_);
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
