// Runners: where a job is timed. This machine, or the agent on another one behind a command, ssh or adb.
#pragma once
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "device/identity.h"
#include "device/reading.h"
#include "device/session.h"

namespace fdi::profile {

using device::EngineSettings;

class Runner {
 public:
  virtual ~Runner() = default;
  virtual device::Identity identity() = 0;
  virtual bool supports(nn::Op op) = 0;
  // Throws Error where the device is lost for good; a lost connection is opened anew and the job asked for again.
  virtual device::Reading measure(const device::Job& job, const device::MeasureOptions& options) = 0;
  // The time model that a device behind an agent keeps of itself (paper section 4.3), as TimeModel::to_json writes it.
  // Null where it keeps none, false where it is this machine, whose models are the database's. Both throw Error with
  // what the device says.
  virtual nlohmann::json kept_model();
  virtual bool keep_model(const nlohmann::json& model);
};

// "local", "exec:qemu-aarch64-static ./fastdeepiot-agent" (any command of /bin/sh: words with spaces in quotes),
// "ssh:pi@board", "ssh:pi@[fe80::1]:/opt/my agent", "adb:SERIAL". Throws Error for anything else, and for an agent of
// another version. The local runner sets this process's ISA and threads.
std::unique_ptr<Runner> make_runner(const std::string& where, const EngineSettings& settings);

}  // namespace fdi::profile
