#include "device/session.h"

#include "core/error.h"
#include "core/threads.h"
#include "device/version.h"
#include "kernels/isa.h"

namespace fdi::device {

Session::Session(const EngineSettings& settings) : engine_(make_engine(settings.engine)) {
  if (!settings.isa.empty() && settings.engine != "native")
    core::fail("engine {} picks its instruction set itself; leave \"{}\" away", settings.engine, settings.isa);
  const int threads = core::threads();
  core::set_threads(settings.threads);
  try {
    kernels::set_isa(settings.isa);
  } catch (const core::Error&) {
    core::set_threads(threads);
    throw;
  }
  identity_ = this_device(engine_->name(), engine_->version());
}

Reading Session::measure(const Job& job, const MeasureOptions& options) const {
  require_optimized();
  for (const nn::NetworkSpec& network : job.networks)
    for (const nn::LayerSpec& layer : network.layers)
      if (!engine_->supports(layer.op)) core::fail("engine {} has no {}", engine_->name(), nn::op_name(layer.op));
  return take_reading(*engine_, job, options);
}

}  // namespace fdi::device
