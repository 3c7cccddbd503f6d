// See sweep_picture.h.
#include "cli/sweep_picture.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "nn/layer.h"

namespace fdi::cli {
namespace {

std::vector<std::string> varied_fields(const Swept& swept) {
  std::vector<std::string> fields;
  for (const Vary& vary : swept.varies) fields.insert(fields.end(), vary.fields.begin(), vary.fields.end());
  if (fields.empty()) fields = {"in_channel", "out_channel"};  // of Table 1
  return fields;
}

double flop(const Swept& swept, size_t i) {
  const device::Component c = swept_component(swept.op, swept.layers[i], swept.padding);
  return static_cast<double>(nn::op_info(swept.op).flops(c.layer, c.in));
}

// Four digits at least, however few operations a layer has: "452.4", "0.0005120".
std::string four_digits(double value) {
  const double power = value > 0 ? std::floor(std::log10(value)) : 0;
  return fmt::format("{:.{}f}", value, std::clamp(3 - static_cast<int>(power), 0, 9));
}

// "conv2d 3x3 of 24x24, stride 1, same padding": what does not vary.
std::string layer_text(const Swept& swept) {
  const std::vector<std::string> varied = varied_fields(swept);
  const nlohmann::json sizes = sizes_json(swept.op, swept.layers.front());
  const auto fixed = [&](const char* name) { return sizes.contains(name) && std::ranges::count(varied, name) == 0; };
  std::string text(nn::op_name(swept.op));
  if (fixed("kernel_height") && fixed("kernel_width"))
    text += fmt::format(" {}x{}", sizes["kernel_height"].dump(), sizes["kernel_width"].dump());
  if (fixed("in_height") && fixed("in_width"))
    text += fmt::format(" of {}x{}", sizes["in_height"].dump(), sizes["in_width"].dump());
  for (const char* name : {"in_channel", "out_channel", "in_dim", "out_dim", "stride", "step"})
    if (fixed(name)) text += fmt::format(", {} {}", name, sizes[name].dump());
  if (sizes.contains("stride")) text += swept.padding == nn::Padding::kSame ? ", same padding" : ", valid padding";
  return text;
}

std::string axis_name(const Vary& vary) { return fmt::format("{}", fmt::join(vary.fields, " = ")); }

size_t per_curve(const Swept& swept) { return static_cast<size_t>(swept.varies.back().values()); }

std::vector<profile::Figure> bars(const Swept& swept, const std::string& title) {
  profile::Figure time{.title = title, .x = "channels", .y = "time (us)"};
  profile::Figure work{.title = "FLOPs", .x = "channels", .y = "MFLOP"};
  time.curves = {{.name = "", .mark = profile::Mark::kBars, .color = "#0072b2"}};
  work.curves = {{.name = "", .mark = profile::Mark::kBars, .color = "#e69f00"}};
  for (size_t i = 0; i < swept.layers.size(); ++i) {
    const auto x = static_cast<double>(i);
    const std::string label = fmt::format("{} to {}", swept.layers[i].in_channel, swept.layers[i].out_channel);
    time.labels.push_back(label);
    work.labels.push_back(label);
    time.curves[0].points.emplace_back(x, swept.times[i].median_us);
    work.curves[0].points.emplace_back(x, flop(swept, i) / 1e6);
  }
  return {time, work};
}

}  // namespace

std::string sweep_rows(const Swept& swept) {
  const std::vector<std::string> varied = varied_fields(swept);
  std::string text;
  for (size_t i = 0; i < swept.layers.size(); ++i) {
    const nlohmann::json sizes = sizes_json(swept.op, swept.layers[i]);
    for (const std::string& name : varied) text += fmt::format("{} {:>4}  ", name, sizes[name].get<int>());
    const double work = flop(swept, i);
    const device::Timing& time = swept.times[i];
    text += fmt::format("{:>11} MFLOP  {:>11.2f} us", four_digits(work / 1e6), time.median_us);
    if (work > 0) text += fmt::format("  {:>6} ns/kFLOP", four_digits(1e6 * time.median_us / work));
    text += fmt::format("  spread {:.1f}%\n", 100 * time.rel_mad);
  }
  return text;
}

nlohmann::json sweep_json(const Swept& swept) {
  nlohmann::json rows = nlohmann::json::array();
  for (size_t i = 0; i < swept.layers.size(); ++i) {
    nlohmann::json config = sizes_json(swept.op, swept.layers[i]);
    config["padding"] = swept.padding == nn::Padding::kSame ? "same" : "valid";
    rows.push_back(
        {{"config", std::move(config)}, {"median_us", swept.times[i].median_us}, {"rel_mad", swept.times[i].rel_mad}});
  }
  return rows;
}

size_t curves_of(const Swept& swept) { return swept.varies.empty() ? 1 : swept.layers.size() / per_curve(swept); }

std::vector<profile::Figure> sweep_figures(const Swept& swept) {
  const std::string title = layer_text(swept) + "\n" + device::label(swept.device);
  if (swept.varies.empty()) return bars(swept, title);
  const Vary& along = swept.varies.back();
  profile::Figure figure{.title = title,
                         .x = axis_name(along),
                         .y = "time (us)",
                         .x_tick = profile::power_of_two_tick(along.high - along.low)};
  const size_t curves = curves_of(swept), named = (curves + kMostInKey - 1) / kMostInKey;
  for (size_t i = 0; i < swept.layers.size(); ++i) {
    const size_t at = i % per_curve(swept), k = i / per_curve(swept);
    if (at == 0) {
      const nlohmann::json sizes = sizes_json(swept.op, swept.layers[i]);
      std::vector<std::string> others;
      for (size_t v = 0; v + 1 < swept.varies.size(); ++v)
        others.push_back(fmt::format("{} {}", axis_name(swept.varies[v]), sizes[swept.varies[v].fields[0]].dump()));
      figure.curves.push_back({.name = fmt::format("{}", fmt::join(others, ", ")), .in_key = k % named == 0});
    }
    figure.curves.back().points.emplace_back(along.low + static_cast<double>(at) * along.step,
                                             swept.times[i].median_us);
  }
  if (curves > 1) return {figure};
  std::vector<double> work(swept.layers.size());
  for (size_t i = 0; i < work.size(); ++i) work[i] = flop(swept, i);
  const auto most = static_cast<size_t>(std::ranges::max_element(work) - work.begin());
  if (work[most] <= 0) return {figure};
  profile::Curve flops{.name = "in proportion to FLOPs", .mark = profile::Mark::kLine, .color = "#999999"};
  for (size_t i = 0; i < work.size(); ++i)
    flops.points.emplace_back(figure.curves[0].points[i].first, swept.times[most].median_us * work[i] / work[most]);
  figure.curves[0].name = "measured: time (us)";
  figure.curves.push_back(std::move(flops));
  return {figure};
}

}  // namespace fdi::cli
