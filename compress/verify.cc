#include "compress/verify.h"

#include <algorithm>

#include "core/rng.h"
#include "nn/fuse.h"

namespace fdi::compress {

std::vector<device::Timing> time_models(const device::Engine& engine, const std::vector<const nn::Model*>& models,
                                        const device::MeasureOptions& options) {
  std::vector<std::unique_ptr<device::Prepared>> prepared;
  std::vector<std::function<void()>> runs;
  for (const nn::Model* model : models) {
    nn::FoldedNetwork folded = nn::inference_graph(model->spec, model->parameters);
    prepared.push_back(engine.prepare(folded.spec, folded.parameters, true));
    device::Prepared& network = *prepared.back();
    core::Rng rng(1, core::Stream::kSynthetic);
    for (float& x : network.input()) x = rng.normal();
    runs.emplace_back([&network] { network.run(); });
  }
  return device::measure_interleaved(runs, options);
}

}  // namespace fdi::compress
