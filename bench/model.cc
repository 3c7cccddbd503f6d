#include "bench/model.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <functional>
#include <memory>

#include "bench/peers.h"
#include "core/cpu.h"
#include "core/rng.h"
#include "device/engine.h"
#include "nn/fuse.h"
#include "nn/network.h"

namespace fdi::bench {
namespace {

double mib(size_t bytes) { return static_cast<double>(bytes) / (1 << 20); }

// The peak from here on, not that of building; where the system does not allow it, the whole peak is reported.
void reset_peak_memory() { std::ofstream("/proc/self/clear_refs") << "5"; }

nn::FoldedNetwork random_network(const nn::NetworkSpec& spec) {
  nn::Parameters parameters(spec);
  parameters.initialize(1);
  return nn::inference_graph(spec, parameters);
}

// The peer, ready to run, with the same input and weights as `ours`; its numbers have been compared with ours.
std::function<void()> make_peer(const nn::NetworkSpec& spec, int batch, nn::Network& ours, const nn::Pass& pass) {
  nn::FoldedNetwork graph = random_network(spec);
  const std::shared_ptr<device::Prepared> peer =
      device::make_engine("onednn")->prepare(graph.spec, graph.parameters, true, batch);
  std::ranges::copy(ours.input().span(), peer->input().begin());
  const std::span<const float> output = ours.forward(pass).span();
  peer->run();
  float largest = 1;
  for (float v : output) largest = std::max(largest, std::abs(v));
  expect_equal(output, peer->output(), 1e-3F * largest, "bench model");
  return [peer] { peer->run(); };
}

}  // namespace

nn::NetworkSpec rnn_spec(const RnnShape& shape) {
  nn::NetworkSpec spec{fmt::format("{}", nn::op_name(shape.op)), {shape.steps, shape.in}, {}};
  for (size_t i = 0; i < shape.units.size(); ++i) {
    nn::LayerSpec layer{
        .op = shape.op, .name = fmt::format("rnn{}", i + 1), .inputs = {static_cast<int>(i) - 1}, .attr = {}};
    layer.attr.units = shape.units[i];
    spec.layers.push_back(layer);
  }
  return spec;
}

Report model(const nn::NetworkSpec& spec, int batch, bool peer, const device::MeasureOptions& timing) {
  const size_t before = core::peak_memory_bytes();
  std::unique_ptr<nn::Network> network;
  {
    nn::FoldedNetwork graph = random_network(spec);
    network = std::make_unique<nn::Network>(graph.spec, graph.parameters, batch, nn::Mode::kInference);
  }
  const size_t building_peak = core::peak_memory_bytes();
  reset_peak_memory();
  core::Rng rng(1, core::Stream::kTest);
  for (float& v : network->input().span()) v = rng.uniform(-1, 1);
  nn::Pass pass;
  pass.batch = batch;
  for (int i = 0; i < 3; ++i) network->forward(pass);
  const size_t peak = core::peak_memory_bytes();

  std::vector<std::function<void()>> contenders = {[&] { network->forward(pass); }};
  peer = peer && have_onednn();
  if (peer) contenders.push_back(make_peer(spec, batch, *network, pass));
  const std::vector<device::Timing> t = device::measure_interleaved(contenders, timing);

  const nn::Network::Memory memory = network->memory();
  Report report;
  report.json = to_json(t[0]);
  report.json["conditions"] = conditions();
  report.json["network"] = spec.name;
  report.json["batch"] = batch;
  report.json["peak_resident_mib"] = mib(peak);
  report.json["memory"] = {{"planned_mib", mib(memory.total())},
                           {"weights_mib", mib(memory.weights)},
                           {"activations_mib", mib(memory.input + memory.activations)},
                           {"workspace_mib", mib(memory.workspace)},
                           {"before_mib", mib(before)},
                           {"building_peak_mib", mib(building_peak)}};
  report.json["peers"] = nlohmann::json::object();
  report.json["ratios"] = nlohmann::json::object();
  report.text = conditions_line() + fmt::format("{}, batch {}\n", spec.name, batch);
  report.text += fmt::format("ours    {:9.3f} ms (minimum {:.3f}, spread {:.1f}%, {} runs)\n", t[0].median_us / 1e3,
                             t[0].min_us / 1e3, 100 * t[0].rel_mad, t[0].runs);
  if (peer) {
    const double ratio = t[1].median_us / t[0].median_us;
    report.json["peers"]["onednn"] = to_json(t[1]);
    report.json["ratios"]["onednn"] = ratio;
    report.text += fmt::format("onednn  {:9.3f} ms (minimum {:.3f}, spread {:.1f}%): ours is {:.2f}x as fast\n",
                               t[1].median_us / 1e3, t[1].min_us / 1e3, 100 * t[1].rel_mad, ratio);
  }
  report.text += fmt::format(
      "memory  {:9.1f} MiB resident at most while ours runs, {:.1f} of them before it was built; planned {:.1f} MiB\n"
      "        (weights {:.1f}, activations {:.2f}, workspace {:.2f})\n",
      mib(peak), mib(before), mib(memory.total()), mib(memory.weights), mib(memory.input + memory.activations),
      mib(memory.workspace));
  return report;
}

}  // namespace fdi::bench
