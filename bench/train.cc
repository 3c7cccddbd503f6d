#include "bench/train.h"

#include <fmt/core.h>

#include <vector>

#include "core/cpu.h"
#include "core/rng.h"
#include "nn/fuse.h"
#include "nn/loss.h"
#include "nn/network.h"
#include "nn/optimizer.h"

namespace fdi::bench {

Report train(const nn::NetworkSpec& spec, int batch, const device::MeasureOptions& timing) {
  const nn::NetworkSpec fused = nn::fuse_relu(spec);
  nn::Parameters parameters(fused);
  parameters.initialize(1);
  nn::Network network(fused, parameters, batch, nn::Mode::kTraining);
  const nn::OptimizerConfig config;  // SGD, Nesterov momentum 0.9, weight decay 5e-4
  nn::Optimizer optimizer(config, static_cast<int64_t>(parameters.trainable().size()));
  const int classes = nn::output_shapes(fused).back().back();
  nn::SoftmaxLoss loss(batch, classes);

  core::Rng rng(1, core::Stream::kTest);
  for (float& v : network.input().span()) v = rng.normal();
  std::vector<int> labels(batch);
  for (int& label : labels) label = static_cast<int>(rng.below(classes));
  std::vector<float> gradient(static_cast<size_t>(batch) * classes);
  const nn::Tensor dy{gradient.data(), {batch, classes}};

  nn::Pass pass;
  pass.batch = batch;
  pass.training = true;
  const auto step = [&] {
    loss.evaluate(network.forward(pass), labels, gradient.data());
    network.backward(pass, dy);
    optimizer.step(parameters.trainable(), network.gradients(), 1e-3, config.momentum);
    ++pass.step;
  };
  const device::Timing t = device::measure(step, timing);

  const double images_per_s = batch / t.median_us * 1e6;
  const nn::Network::Memory memory = network.memory();
  const double mib = 1.0 / (1 << 20);
  Report report;
  report.json = to_json(t);
  report.json["conditions"] = conditions();
  report.json["network"] = spec.name;
  report.json["batch"] = batch;
  report.json["images_per_s"] = images_per_s;
  report.json["peak_resident_mib"] = mib * static_cast<double>(core::peak_memory_bytes());
  report.json["memory"] = {{"planned_mib", mib * static_cast<double>(memory.total())},
                           {"activations_mib", mib * static_cast<double>(memory.activations)},
                           {"workspace_mib", mib * static_cast<double>(memory.workspace)}};
  report.text =
      conditions_line() +
      fmt::format("{}, batch {}: {:.1f} images/s ({:.1f} ms a step, spread {:.1f}%, {} runs), peak {:.0f} MiB\n",
                  spec.name, batch, images_per_s, t.median_us / 1e3, 100 * t.rel_mad, t.runs,
                  mib * static_cast<double>(core::peak_memory_bytes()));
  return report;
}

}  // namespace fdi::bench
