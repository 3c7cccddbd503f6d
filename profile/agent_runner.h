// AgentRunner: jobs timed by `fastdeepiot-agent` behind a command. A connection that is lost, or silent for too long,
// is opened anew and the job asked for again; an agent that is not ours, or talks nonsense, is refused.
#pragma once
#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "device/protocol.h"
#include "profile/child_process.h"
#include "profile/runner.h"

namespace fdi::profile {

struct AgentPatience {
  double hello_seconds = 30;     // to connect and start
  double measure_seconds = 300;  // for one reading: the slowest layer, a few times, perhaps under an emulator
  double retry_seconds = 1;      // before the second connection; twice as long before the third
};

class AgentRunner : public Runner {
 public:
  // `where`: as the user wrote it, the head of every message. `words`: the command that starts the agent.
  AgentRunner(std::string where, std::vector<std::string> words, EngineSettings settings,
              const AgentPatience& patience = {});
  device::Identity identity() override { return identity_; }
  bool supports(nn::Op op) override;
  device::Reading measure(const device::Job& job, const device::MeasureOptions& options) override;
  nlohmann::json kept_model() override;
  bool keep_model(const nlohmann::json& model) override;

 private:
  struct Lost {  // what became of the connection
    std::string how;
  };
  // These throw Lost.
  std::string receive(double seconds);  // a line
  [[noreturn]] void lose(ChildProcess::Outcome outcome, double seconds);
  nlohmann::json ask(const nlohmann::json& request, double seconds);
  nlohmann::json hello();  // the agent's greeting
  void connect();
  nlohmann::json ask_once(const nlohmann::json& request);  // throws Error where the connection is lost

  std::string where_;
  std::vector<std::string> words_;
  EngineSettings settings_;
  AgentPatience patience_;
  std::unique_ptr<ChildProcess> agent_;
  device::Identity identity_;
  std::set<std::string> ops_;
  int64_t id_ = 0;
};

}  // namespace fdi::profile
