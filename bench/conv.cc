#include "bench/conv.h"

#include <fmt/core.h>

#include <algorithm>
#include <functional>

#include "bench/peers.h"
#include "core/arena.h"
#include "core/rng.h"
#include "core/threads.h"
#include "device/engine.h"
#include "kernels/conv.h"
#include "nn/window.h"

namespace fdi::bench {
namespace {

using core::Arena;
using kernels::ConvPath;

nn::NetworkSpec one_layer(const ConvShape& shape) {
  nn::LayerSpec layer{.op = nn::Op::kConv2d, .name = "conv", .inputs = {nn::LayerSpec::kInput}, .attr = {}};
  layer.attr.units = shape.out_channel;
  layer.attr.kernel = {shape.kernel, shape.kernel};
  layer.attr.stride = {shape.stride, shape.stride};
  layer.attr.relu = true;
  return {"conv", {shape.size, shape.size, shape.in_channel}, {layer}};
}

// Everything that one of our convolutions needs, and the call itself.
class OurConv {
 public:
  OurConv(const kernels::ConvGeometry& g, int batch, const float* weight, ConvPath path)
      : g_(g),
        batch_(batch),
        path_(path),
        weight_(weight),
        workspace_bytes_(kernels::conv2d_workspace_bytes(g, batch, path, core::threads())),
        arena_(Arena::padded_bytes(g.in_size() * batch) + Arena::padded_bytes(g.out_size() * batch) +
               Arena::padded_bytes(g.out_channel) +
               Arena::padded_bytes(kernels::packed_b_floats(g.patch(), g.out_channel)) + workspace_bytes_ +
               Arena::kAlignment),
        x_(arena_.floats(g.in_size() * batch)),
        y_(arena_.floats(g.out_size() * batch)),
        bias_(arena_.floats(g.out_channel)),
        packed_(arena_.floats(kernels::packed_b_floats(g.patch(), g.out_channel))) {
    kernels::pack_b(g.patch(), g.out_channel, {.data = weight, .ld = g.out_channel}, packed_);
    workspace_ = {reinterpret_cast<std::byte*>(arena_.floats(static_cast<int64_t>(workspace_bytes_ / sizeof(float)))),
                  workspace_bytes_, core::threads()};
    std::fill_n(x_, g.in_size() * batch, 0.5F);
  }
  void run() {
    // Winograd transforms the weights at each call, as it must in training; the other paths have them packed.
    kernels::conv2d_forward(g_, batch_, x_, weight_, path_ == ConvPath::kWinograd ? nullptr : packed_, bias_,
                            kernels::Activation::kRelu, y_, path_, workspace_);
  }
  std::span<const float> output() const { return {y_, static_cast<size_t>(g_.out_size() * batch_)}; }

 private:
  kernels::ConvGeometry g_;
  int batch_;
  ConvPath path_;
  const float* weight_;
  size_t workspace_bytes_;
  Arena arena_;
  float *x_, *y_, *bias_, *packed_;
  kernels::Workspace workspace_;
};

}  // namespace

std::vector<ConvShape> vgg_conv_shapes() {
  return {{32, 3, 64},   {32, 64, 64},  {16, 64, 128}, {16, 128, 128}, {8, 128, 256},
          {8, 256, 256}, {4, 256, 512}, {4, 512, 512}, {2, 512, 512}};
}

Report conv(const std::vector<ConvShape>& shapes, int batch, const device::MeasureOptions& timing) {
  Report report;
  report.json = {{"conditions", conditions()}, {"batch", batch}, {"layers", nlohmann::json::array()}};
  report.text = conditions_line() +
                fmt::format("batch {}\n{:>5} {:>5} {:>5} {:>6} {:>6} {:>9} {:>9} {:>9} {:>9} {:>6}\n", batch, "size",
                            "in", "out", "kernel", "stride", "GFLOP/s", "explicit", "winograd", "onednn", "ratio");
  std::vector<double> ratios;
  for (const ConvShape& shape : shapes) {
    const nn::NetworkSpec spec = one_layer(shape);
    nn::Parameters parameters(spec);
    parameters.initialize(1);
    kernels::ConvGeometry g = nn::window(spec.layers[0], spec.input).geometry;
    g.out_channel = shape.out_channel;
    const float* weight = parameters.tensor(parameters.entries()[0]).data;
    OurConv fused(g, batch, weight, ConvPath::kFused), explicit_path(g, batch, weight, ConvPath::kExplicit),
        winograd(g, batch, weight, ConvPath::kWinograd);  // where it cannot serve the shape: the fused path, unpacked

    std::vector<std::function<void()>> contenders = {[&] { fused.run(); }, [&] { explicit_path.run(); },
                                                     [&] { winograd.run(); }};
    std::unique_ptr<device::Prepared> peer;
    if (have_onednn()) {
      const std::unique_ptr<device::Engine> onednn = device::make_engine("onednn");
      fused.run();
      peer = onednn->prepare(spec, parameters, true, batch);
      std::ranges::fill(peer->input(), 0.5F);
      peer->run();
      expect_equal(fused.output(), peer->output(), 1e-4F, "bench conv");
      peer = onednn->prepare(spec, parameters, false, batch);
      std::ranges::fill(peer->input(), 0.5F);
      contenders.emplace_back([&] { peer->run(); });
    }
    const std::vector<device::Timing> t = device::measure_interleaved(contenders, timing);
    const double flops = 2.0 * static_cast<double>(g.out_size()) * batch * g.patch();
    const auto gflops = [&](const device::Timing& time) { return flops / time.median_us / 1e3; };
    nlohmann::json row = {{"size", shape.size},
                          {"in_channel", shape.in_channel},
                          {"kernel", shape.kernel},
                          {"out_channel", shape.out_channel},
                          {"stride", shape.stride},
                          {"gflops", gflops(t[0])},
                          {"rel_mad", t[0].rel_mad},
                          {"explicit_gflops", gflops(t[1])},
                          {"winograd_gflops", gflops(t[2])},
                          {"peers", nlohmann::json::object()},
                          {"ratios", nlohmann::json::object()}};
    report.text += fmt::format("{:>5} {:>5} {:>5} {:>6} {:>6} {:>9.1f} {:>9.1f} {:>9.1f}", shape.size, shape.in_channel,
                               shape.out_channel, shape.kernel, shape.stride, gflops(t[0]), gflops(t[1]), gflops(t[2]));
    if (peer) {
      ratios.push_back(t[3].median_us / t[0].median_us);
      row["peers"]["onednn"] = gflops(t[3]);
      row["ratios"]["onednn"] = ratios.back();
      report.text += fmt::format(" {:>9.1f} {:>6.2f}", gflops(t[3]), ratios.back());
    }
    report.text += "\n";
    report.json["layers"].push_back(std::move(row));
  }
  report.json["summary"] = nlohmann::json::object();
  if (!ratios.empty()) {
    const Ratios summary = summarize_ratios(ratios);
    report.json["summary"]["onednn"] = {{"geometric_mean", summary.geometric_mean}, {"minimum", summary.minimum}};
    report.text +=
        fmt::format("against onednn: geometric mean {:.3f}, minimum {:.3f}\n", summary.geometric_mean, summary.minimum);
  }
  return report;
}

}  // namespace fdi::bench
