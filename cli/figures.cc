// See figures.h.
#include "cli/figures.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "cli/terminal.h"
#include "core/error.h"
#include "core/file.h"
#include "profile/op_model.h"
#include "profile/plot.h"
#include "profile/safe_region.h"

namespace fdi::cli {
namespace {

using nn::Op;
using profile::SafeRegion;
using profile::Sample;

void report(const profile::Plotted& plotted) {
  for (const std::string& file : plotted.files) note("wrote {}", file);
  if (!plotted.missing.empty()) note("{}", plotted.missing);
}

void write_json(const std::string& file, const nlohmann::json& json) {
  core::write_file_atomically(file, json.dump(2) + "\n");
  note("wrote {}", file);
}

nlohmann::json law_json(const profile::ChannelLaw& law) {
  return {{"in_channel_x_out_channel", law.product},
          {"in_channel", law.in_term},
          {"out_channel", law.out_term},
          {"bias_us", law.bias}};
}

// For each in_channel the most out_channels up to which every layer gets faster; `most` where the axis ends.
double safe_height(const SafeRegion& region, double in, double most) {
  const double wider = region.condition.threshold - 1;
  const bool widens_in = region.condition.field == profile::Field::kInChannel;
  const auto gain = [&](double out) {
    return region.other(in, out) - region.multiple(in + (widens_in ? wider : 0), out + (widens_in ? 0 : wider));
  };
  if (gain(1) <= 0) return 0;
  if (gain(most) > 0) return most;
  return 1 + gain(1) / (gain(1) - gain(2));  // linear in the number of outputs
}

profile::Figure picture(const SafeRegion& region, const device::Component& layer, double most) {
  const std::string name(profile::field_name(Op::kConv2d, region.condition.field));
  profile::Figure figure{
      .title = fmt::format(
          "Where a {0}x{0} convolution of {1}x{2} gets faster by widening {3} to a multiple of {4}{5}{6}",
          layer.layer.attr.kernel[0], layer.in[0][0], layer.in[0][1], name,
          profile::format_number(region.condition.threshold), region.where.empty() ? "" : "\nwhile ", region.where),
      .x = "in_channel",
      .y = "out_channel",
      .curves = {{"faster", {}, profile::Mark::kFilled},
                 {region.square == profile::kUnbounded ? "safe square, without a bound"
                                                       : fmt::format("safe square, up to {}", region.square),
                  {},
                  profile::Mark::kFilled}}};
  constexpr int kPoints = 256;
  for (int i = 0; i <= kPoints; ++i) {
    const double in = 1 + (most - 1) * i / kPoints;
    figure.curves[0].points.emplace_back(in, safe_height(region, in, most));
    if (in <= region.square) figure.curves[1].points.emplace_back(in, std::min<double>(region.square, most));
  }
  return figure;
}

// A tree of the paper's variables: with rounded ones a layer's gain by widening is in its law already.
void draw_safe_region(const std::string& prefix, const profile::SampleSet& set, const profile::TimeModel& model,
                      const profile::FitOptions& options) {
  std::vector<const Sample*> convs;
  double most = 0;
  for (const Sample& sample : set.samples) {
    if (sample.component.layer.op != Op::kConv2d) continue;
    convs.push_back(&sample);
    most = std::max<double>({most, static_cast<double>(sample.component.in[0].back()),
                             static_cast<double>(sample.component.layer.attr.units)});
  }
  if (!model.covers(Op::kConv2d)) return note("figure 4: nothing to draw: the model has no convolutions");
  profile::FitOptions of_paper = options;
  of_paper.features = profile::Features::kPaper;
  const bool fitted = options.features == profile::Features::kPaper;
  const profile::Tree tree =
      fitted ? model.op(Op::kConv2d).tree() : profile::OpModel::fit(Op::kConv2d, convs, of_paper).tree();
  // The layer of the picture: the one whose way through the tree asks for the multiple with the largest safe square;
  // of equal ones the nearest to the middle.
  std::ranges::sort(convs, {},
                    [](const Sample* s) { return profile::structure_of(s->component)[profile::Field::kFlops]; });
  const size_t middle = convs.size() / 2;
  device::Component layer = convs[middle]->component;
  std::vector<SafeRegion> regions;
  // What lies under a region that is safe nowhere is not had by widening.
  const auto largest = [](const std::vector<SafeRegion>& of) {
    const auto end = std::ranges::find(of, 0, &SafeRegion::square);
    return end == of.begin() ? of.front() : *std::ranges::max_element(of.begin(), end, {}, &SafeRegion::square);
  };
  for (size_t k = 0; k < convs.size(); ++k) {
    const device::Component& c = convs[k % 2 == 0 ? middle + k / 2 : middle - (k + 1) / 2]->component;
    std::vector<SafeRegion> found = profile::safe_regions(tree, c);
    if (found.empty() || (!regions.empty() && largest(found).square <= largest(regions).square)) continue;
    regions = std::move(found);
    layer = c;
  }
  const std::string simplified = profile::simplified_model(Op::kConv2d, regions);
  nlohmann::json json = {{"layer", device::component_to_json(layer)},
                         {"tree", profile::tree_to_json(tree)},
                         {"regions", nlohmann::json::array()},
                         {"simplified", simplified}};
  for (const SafeRegion& region : regions)
    json["regions"].push_back({{"condition", profile::describe(Op::kConv2d, region.condition)},
                               {"where", region.where},
                               {"multiple", law_json(region.multiple)},
                               {"other", law_json(region.other)},
                               {"square", region.square == profile::kUnbounded ? nlohmann::json("unbounded")
                                                                               : nlohmann::json(region.square)}});
  write_json(prefix + ".json", json);
  for (const char* earlier : {".gp", ".svg", ".plot.csv"}) std::filesystem::remove(prefix + earlier);
  if (regions.empty())
    return note(
        "figure 4: there is none: no rule of the convolutions' tree (of the paper's variables, {} rules) "
        "asks for a multiple of a channel count",
        (tree.nodes.size() + 1) / 2);
  const profile::Figure figure = picture(largest(regions), layer, most);
  const auto empty = [](const profile::Curve& curve) {
    return std::ranges::all_of(curve.points, [](const auto& point) { return point.second <= 0; });
  };
  if (std::ranges::all_of(figure.curves, empty))
    return note("figure 4: there is none: widening to a multiple is faster nowhere");
  report(profile::plot(prefix, {figure}));
  note("figure 4: {}", simplified.empty() ? "widening to multiples is faster nowhere for sure" : simplified);
}

}  // namespace

void draw_figures(const std::string& folder, const profile::SampleSet& set, const profile::TimeModel& model,
                  profile::FitOptions options) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) core::fail("--figures {}: cannot make the folder: {}", folder, error.message());
  write_json(folder + "/model.json", model.to_json());
  for (const auto& [op, q] : model.quality())
    report(profile::plot_graph(fmt::format("{}/tree_{}", folder, nn::op_name(op)), model.dot(op)));
  draw_safe_region(folder + "/safe_region", set, model, options);
}

}  // namespace fdi::cli
