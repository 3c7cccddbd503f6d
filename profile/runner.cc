// make_runner: what the user's --device means.
#include "profile/runner.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "core/error.h"
#include "profile/agent_runner.h"

namespace fdi::profile {
namespace {

class LocalRunner : public Runner {
 public:
  explicit LocalRunner(const EngineSettings& settings) : session_(settings) {}
  device::Identity identity() override { return session_.identity(); }
  bool supports(nn::Op op) override { return session_.supports(op); }
  device::Reading measure(const device::Job& job, const device::MeasureOptions& options) override {
    return session_.measure(job, options);
  }

 private:
  device::Session session_;
};

// "board:/opt/agent" into host and path, with the path's default.
std::pair<std::string, std::string> host_and_path(const std::string& text, const std::string& path) {
  const size_t colon = text.find(':');
  return {text.substr(0, colon), colon == std::string::npos ? path : text.substr(colon + 1)};
}

// The command that starts the agent; empty where `where` names no device.
std::vector<std::string> agent_command(const std::string& where) {
  const size_t colon = where.find(':');
  const std::string kind = where.substr(0, colon);
  const std::string rest = colon == std::string::npos ? "" : where.substr(colon + 1);
  if (rest.empty() || rest.starts_with("-")) return {};  // a host that reads as an option is none
  if (kind == "exec") return {"/bin/sh", "-c", rest};
  if (kind == "ssh") {
    const auto [host, path] = host_and_path(rest, "fastdeepiot-agent");
    return {"ssh", "-T", "-o", "BatchMode=yes", host, path};
  }
  if (kind == "adb")  // the one folder that a shell there may write to
    return {"adb",   "-s", rest,
            "shell", "-T", "FASTDEEPIOT_MODELS=/data/local/tmp/fastdeepiot-models /data/local/tmp/fastdeepiot-agent"};
  return {};
}

}  // namespace

nlohmann::json Runner::kept_model() { return nullptr; }
bool Runner::keep_model(const nlohmann::json& model) { return false; }

std::unique_ptr<Runner> make_runner(const std::string& where, const EngineSettings& settings) {
  if (where == "local") return std::make_unique<LocalRunner>(settings);
  std::vector<std::string> words = agent_command(where);
  if (words.empty())
    core::fail("device \"{}\": wanted local, exec:COMMAND, ssh:[USER@]HOST[:PATH OF AGENT] or adb:SERIAL", where);
  return std::make_unique<AgentRunner>(where, std::move(words), settings);
}

}  // namespace fdi::profile
