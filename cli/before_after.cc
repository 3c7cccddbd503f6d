#include "cli/before_after.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <nlohmann/json.hpp>
#include <span>

#include "device/identity.h"
#include "nn/fuse.h"
#include "nn/network.h"
#include "nn/summary.h"

namespace fdi::cli {
namespace {

// FNV-1a, 64 bits; `hash`: of the bytes before.
uint64_t fnv1a(std::span<const std::byte> bytes, uint64_t hash = 0xcbf29ce484222325) {
  for (const std::byte b : bytes) hash = (hash ^ std::to_integer<uint64_t>(b)) * 0x100000001b3;
  return hash;
}

std::string hex(uint64_t hash) { return fmt::format("{:016x}", hash); }

}  // namespace

nlohmann::json widths_to_json(const nn::NetworkSpec& spec) {
  nlohmann::json widths = nlohmann::json::object();
  for (const nn::LayerSpec& layer : spec.layers)
    if (layer.attr.units > 0) widths[layer.name] = layer.attr.units;
  return widths;
}

std::string model_digest(const nn::Model& model) {
  const std::string widths = widths_to_json(model.spec).dump();
  return hex(fnv1a(std::as_bytes(model.parameters.all()), fnv1a(std::as_bytes(std::span(widths)))));
}

std::string time_model_digest(const profile::TimeModel& model) {
  const std::string text = model.to_json().dump();
  return hex(fnv1a(std::as_bytes(std::span(text))));
}

double peak_memory_mib(const nn::NetworkSpec& spec) {
  return static_cast<double>(nn::Network::plan(nn::inference_spec(spec), 1, nn::Mode::kInference).total()) / (1 << 20);
}

nlohmann::json measure_before_after(const BeforeAfter& pair) {
  return before_after_json(pair, pair.timed.time(std::vector{pair.before.spec, pair.after.spec}));
}

nlohmann::json before_after_json(const BeforeAfter& pair, const std::vector<profile::NetworkTiming>& times) {
  const bool foreign = times.empty() && pair.time_model != nullptr;
  const device::Identity device = foreign ? pair.time_model->device() : pair.timed.identity();
  nlohmann::json measured_before, measured_after, spread;
  if (!times.empty()) {
    measured_before = times[0].total.median_us / 1000;
    measured_after = times[1].total.median_us / 1000;
    spread = {times[0].total.rel_mad, times[1].total.rel_mad};
  }
  const nn::Summary before = nn::summarize(pair.before.spec), after = nn::summarize(pair.after.spec);
  nlohmann::json predicted_before, predicted_after, layers = nlohmann::json::array();
  if (pair.time_model != nullptr) {
    const auto was = profile::predict_network(*pair.time_model, pair.before.spec);
    const auto is = profile::predict_network(*pair.time_model, pair.after.spec);
    predicted_before = was.total_us / 1000;
    predicted_after = is.total_us / 1000;
    for (size_t i = 0; i < was.layers.size(); ++i)
      layers.push_back({{"name", was.layers[i].name},
                        {"before_us", was.layers[i].prediction.us},
                        {"after_us", is.layers[i].prediction.us}});
  }
  nlohmann::json result = {{"before_ms", {{"measured", measured_before}, {"predicted", predicted_before}}},
                           {"after_ms", {{"measured", measured_after}, {"predicted", predicted_after}}},
                           {"spread", spread},
                           {"machine", device::key(device)},
                           {"engine", device.engine},
                           {"threads", device.threads},
                           {"isa", device.isa},
                           {"parameters", after.parameters},
                           {"parameters_before", before.parameters},
                           {"flops", after.flops},
                           {"flops_before", before.flops},
                           {"peak_memory_mib", peak_memory_mib(pair.after.spec)},
                           {"peak_memory_mib_before", peak_memory_mib(pair.before.spec)},
                           {"widths", widths_to_json(pair.after.spec)},
                           {"widths_before", widths_to_json(pair.before.spec)},
                           {"layers", std::move(layers)}};
  if (pair.max_difference) result["max_abs_output_difference"] = *pair.max_difference;
  return result;
}

nlohmann::json result_fields(const nlohmann::json& compared) {
  nlohmann::json fields = nlohmann::json::object();
  for (const char* name : {"predicted", "measured"}) {  // null without a time model, or where nothing was timed
    fields[std::string(name) + "_ms"] = compared["after_ms"][name];
    fields[std::string(name) + "_ms_original"] = compared["before_ms"][name];
  }
  for (const std::string name : {"parameters", "flops", "peak_memory_mib", "widths"}) {
    fields[name] = compared[name];
    fields[name + "_original"] = compared[name + "_before"];
  }
  return fields;
}

std::string before_after_text(const BeforeAfter& pair, const nlohmann::json& result) {
  std::string text = fmt::format("{:<28} {:>8} {:>8}\n", "layer", "before", "after");
  for (size_t i = 0; i < pair.before.spec.layers.size(); ++i) {
    const nn::LayerSpec& layer = pair.before.spec.layers[i];
    if (layer.attr.units > 0)
      text += fmt::format("{:<28} {:>8} {:>8}\n", layer.name, layer.attr.units, pair.after.spec.layers[i].attr.units);
  }
  const int threads = result["threads"];
  const std::string on_threads = fmt::format("{} thread{}", threads, threads == 1 ? "" : "s");
  const auto line = [&](const char* name, double before, double after, std::string_view unit) {
    text += fmt::format("{:<28} {:>8.3f} {:>8.3f}  {} ({:.1f}%)\n", name, before, after, unit, 100 * after / before);
  };
  line("parameters", result["parameters_before"].get<double>() / 1e6, result["parameters"].get<double>() / 1e6, "M");
  line("FLOPs", result["flops_before"].get<double>() / 1e6, result["flops"].get<double>() / 1e6, "M");
  line("peak memory", result["peak_memory_mib_before"], result["peak_memory_mib"], "MiB with " + on_threads);
  if (!result["after_ms"]["predicted"].is_null())
    line("predicted time", result["before_ms"]["predicted"], result["after_ms"]["predicted"], "ms");
  if (!result["after_ms"]["measured"].is_null())
    line("measured time", result["before_ms"]["measured"], result["after_ms"]["measured"], "ms");
  const std::string of = pair.time_model ? device::key(pair.time_model->device()) : "";
  const bool elsewhere = !of.empty() && of != device::key(pair.timed.identity());
  if (elsewhere) text += fmt::format("predicted for: {}\n", of);
  if (pair.max_difference)
    text += fmt::format("largest difference of outputs {:.3g}{}\n", *pair.max_difference, pair.compared_with);
  if (result["after_ms"]["measured"].is_null()) return text;
  if (elsewhere) return text + fmt::format("timed on: {}\n", result["machine"].get<std::string>());
  return text + fmt::format("timed: {} engine, {}, {}\n", result["engine"].get<std::string>(), on_threads,
                            result["isa"].get<std::string>());
}

}  // namespace fdi::cli
