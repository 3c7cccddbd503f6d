// Runners: where a job is timed. This machine, or the agent on another one behind a command, ssh or adb.
#pragma once
#include <memory>
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
};

// "local", "exec:qemu-aarch64-static ./fastdeepiot-agent", "ssh:pi@board", "adb:SERIAL". Throws Error for anything
// else, and for an agent of another version. The local runner sets this process's ISA and threads.
std::unique_ptr<Runner> make_runner(const std::string& where, const EngineSettings& settings);

}  // namespace fdi::profile
