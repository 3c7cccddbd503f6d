// Session: an engine ready to be timed in this process, with its ISA and threads set. Called by the local runner and by
// the agent, so that both do the same.
#pragma once
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "device/engine.h"
#include "device/identity.h"
#include "device/reading.h"

namespace fdi::device {

struct EngineSettings {
  std::string engine = "native";
  std::string isa{};  // empty: the device's best
  int threads = 1;
};

class Session {
 public:
  // Sets this process's ISA and threads. Throws Error for what cannot be, and then leaves them as they were.
  explicit Session(const EngineSettings& settings);
  const Identity& identity() const { return identity_; }
  bool supports(nn::Op op) const { return engine_->supports(op); }
  // Throws Error for an op that is not supported, and in a build whose times mean nothing (device/version.h).
  Reading measure(const Job& job, const MeasureOptions& options) const;

 private:
  std::unique_ptr<Engine> engine_;
  Identity identity_;
};

}  // namespace fdi::device
