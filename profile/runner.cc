// make_runner: what the user's --device means.
#include "profile/runner.h"

#include <arpa/inet.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "core/error.h"
#include "core/text.h"
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

bool is_ipv6(std::string address) {
  if (const size_t zone = address.find('%'); zone != std::string::npos) {  // fe80::1%eth0
    if (address.find_first_of(":/", zone) != std::string::npos) return false;
    address.resize(zone);
  }
  in6_addr parsed{};
  return ::inet_pton(AF_INET6, address.c_str(), &parsed) == 1;
}

struct Remote {
  std::string host;  // as ssh takes it: an IPv6 address without brackets
  std::string path;  // of the agent there
};

// "pi@board", "board:/opt/agent", "pi@[fe80::1]:/opt/agent", "fe80::1". An empty host where it is none of these.
Remote remote_of(const std::string& text) {
  const size_t at = text.find_first_of("@:/[");
  const bool has_user = at != std::string::npos && text[at] == '@';
  const std::string user = has_user ? text.substr(0, at + 1) : "", rest = text.substr(user.size());
  std::string host = rest, path = "fastdeepiot-agent";
  const auto split = [&](size_t colon) {
    if (colon == std::string::npos) return;
    host = rest.substr(0, colon);
    path = rest.substr(colon + 1);
  };
  if (rest.starts_with('[')) {
    const size_t end = rest.find(']');
    if (end == std::string::npos || !is_ipv6(rest.substr(1, end - 1))) return {};
    if (end + 1 < rest.size() && rest[end + 1] != ':') return {};
    split(rest.find(':', end));
    host = rest.substr(1, end - 1);
  } else if (!is_ipv6(rest)) {
    const size_t folder = std::min(rest.find(":/"), rest.find(":~"));
    split(folder != std::string::npos && is_ipv6(rest.substr(0, folder)) ? folder : rest.find(':'));
  }
  // A host that reads as an option is none; a path that begins with a colon is the rest of an address.
  if (host.empty() || (user + host).starts_with('-') || path.empty() || path.starts_with(':')) return {};
  return {user + host, path};
}

// A path that a remote shell takes for one word, with its own home folder.
std::string remote_path(const std::string& path) {
  const bool home = path.starts_with("~/");
  return home ? "~/" + core::shell_word(path.substr(2)) : core::shell_word(path);
}

// The command that starts the agent; empty where `where` names no device.
std::vector<std::string> agent_command(const std::string& where) {
  const size_t colon = where.find(':');
  const std::string kind = where.substr(0, colon);
  const std::string rest = colon == std::string::npos ? "" : where.substr(colon + 1);
  if (rest.empty() || rest.starts_with("-")) return {};
  if (kind == "exec") return {"/bin/sh", "-c", rest};
  if (kind == "ssh") {
    const Remote remote = remote_of(rest);
    if (remote.host.empty()) return {};
    return {"ssh", "-T", "-o", "BatchMode=yes", remote.host, remote_path(remote.path)};
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
    core::fail(
        "device \"{}\": wanted local, exec:COMMAND (for /bin/sh), ssh:[USER@]HOST[:PATH OF AGENT] (an IPv6 address in "
        "brackets) or adb:SERIAL",
        core::printable(where));
  return std::make_unique<AgentRunner>(where, std::move(words), settings);
}

}  // namespace fdi::profile
