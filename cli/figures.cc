// See figures.h.
#include "cli/figures.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "cli/measuring_lock.h"
#include "cli/terminal.h"
#include "core/error.h"
#include "core/file.h"
#include "core/rng.h"
#include "profile/campaign.h"
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
nlohmann::json count_json(int count) {
  return count == profile::kUnbounded ? nlohmann::json("unbounded") : nlohmann::json(count);
}
nlohmann::json bounds_json(const profile::ChannelBounds& bounds) { return {bounds.low, count_json(bounds.high)}; }

// A region, the layer whose other sizes it is drawn for, and how far channels were sampled.
struct Choice {
  SafeRegion region;
  device::Component layer;
  int most = 1;
};

// Of the regions that hold somewhere for sure, on the ways of all convolutions through the tree, the one that most
// samples speak for; the layer nearest to the middle in FLOPs that meets it. What lies under a region that is safe
// nowhere is not had by widening.
std::optional<Choice> choose_region(const profile::Tree& tree, std::vector<const Sample*> convs) {
  std::ranges::sort(convs, {},
                    [](const Sample* s) { return profile::structure_of(s->component)[profile::Field::kFlops]; });
  std::optional<Choice> best;
  int most = 1;
  const size_t middle = convs.size() / 2;
  for (size_t k = 0; k < convs.size(); ++k) {
    const device::Component& c = convs[k % 2 == 0 ? middle + k / 2 : middle - (k + 1) / 2]->component;
    most = std::max({most, c.in[0].back(), c.layer.attr.units});
    for (const SafeRegion& region : profile::safe_regions(tree, c)) {
      if (region.square == 0) break;
      if (!best || region.samples > best->region.samples) best = Choice{region, c};
    }
  }
  if (best) best->most = most;
  return best;
}

// Channel counts (in, out) of the region, those in rows of equal in; at most 256 rows.
std::vector<std::pair<int, int>> points_of(const Choice& choice) {
  std::vector<std::pair<int, int>> points;
  for (int in = 1; in <= choice.most; in += 1 + choice.most / 256)
    for (int out = 1; out <= choice.most; ++out)
      if (profile::is_safe(choice.region, choice.layer, in, out)) points.emplace_back(in, out);
  return points;
}

profile::Figure picture(const Choice& choice, const std::vector<std::pair<int, int>>& points,
                        const std::string& measured) {
  const SafeRegion& region = choice.region;
  const nn::LayerSpec& layer = choice.layer.layer;
  profile::Figure figure{
      .title =
          fmt::format("Where a {}x{} convolution of {}x{} gets faster by widening {} to a multiple of {}{}{}",
                      layer.attr.kernel[0], layer.attr.kernel[1], choice.layer.in[0][0], choice.layer.in[0][1],
                      profile::field_name(Op::kConv2d, region.condition.field), region.step(),
                      region.where.empty() ? "" : "\nwhile " + region.where, measured.empty() ? "" : "\n" + measured),
      .x = "in_channel",
      .y = "out_channel",
      .curves = {{.name = "faster, by the time model", .mark = profile::Mark::kFilled},
                 {.name = region.square == profile::kUnbounded ? "safe whatever the counts"
                                                               : fmt::format("safe square, up to {}", region.square),
                  .mark = profile::Mark::kFilled}},
      .x_from_zero = true,
      .x_most = static_cast<double>(choice.most),
      .x_tick = profile::power_of_two_tick(choice.most)};
  const auto add = [](profile::Curve& curve, int in, int out) {  // points of one `in` come with rising `out`
    if (curve.points.empty() || curve.points.back().first != in) {
      curve.from.emplace_back(in, out);
      curve.points.emplace_back(in, out);
    }
    curve.points.back().second = out;
  };
  for (const auto& [in, out] : points) {
    add(figure.curves[0], in, out);
    if (in <= region.square && out <= region.square) add(figure.curves[1], in, out);
  }
  return figure;
}

// Ten layers of the region, drawn at random, before and after widening, timed in turn.
nlohmann::json time_some(const Choice& choice, std::vector<std::pair<int, int>> points, profile::Runner& runner,
                         uint64_t seed) {
  constexpr size_t kPairs = 10;
  const int step = choice.region.step();
  const bool widens_in = choice.region.widens_in();
  std::erase_if(points, [&](const auto& p) { return (widens_in ? p.first : p.second) % step == 0; });
  core::Rng(seed, core::Stream::kSampler, 0x666967757265).shuffle(points.begin(), points.end());
  if (points.size() > kPairs) points.resize(kPairs);
  if (points.empty()) core::fail("all of its counts are multiples already");
  const auto next = [step](int n) { return (n + step - 1) / step * step; };
  std::vector<device::Job> jobs;
  jobs.reserve(points.size());
  for (const auto& [in, out] : points)
    jobs.push_back(device::job_of(
        std::array{profile::with_channels(choice.layer, in, out),
                   profile::with_channels(choice.layer, widens_in ? next(in) : in, widens_in ? out : next(out))}));
  profile::CampaignOptions options;
  options.passes = 7;
  options.seed = seed;
  const std::vector<Sample> samples = profile::combine(jobs, profile::run_campaign(runner, jobs, {}, options).readings);
  nlohmann::json pairs = nlohmann::json::array();
  int faster = 0;
  for (size_t i = 0; i + 1 < samples.size(); i += 2) {
    const double before = samples[i].time.median_us, after = samples[i + 1].time.median_us;
    faster += after < before ? 1 : 0;
    pairs.push_back({{"in_channel", points[i / 2].first},
                     {"out_channel", points[i / 2].second},
                     {"before_us", before},
                     {"after_us", after}});
  }
  return {{"faster", faster}, {"of", pairs.size()}, {"pairs", pairs}};
}

// Whether a process may profile into this database: else no lock can be made beside it, and none is needed.
bool may_be_profiled(const std::string& database) {
  const std::string folder = std::filesystem::path(database).parent_path().string();
  return ::access(folder.empty() ? "." : folder.c_str(), W_OK) == 0;
}

// "7 of 10 layers of the region were faster when measured"; what was measured goes to `json`.
std::string measured_text(const Choice& choice, const std::vector<std::pair<int, int>>& points, profile::Runner* runner,
                          const ProfilingOptions& profiling, uint64_t seed, nlohmann::json& json) {
  if (runner == nullptr) return "not measured: the device of the samples is not at hand";
  try {
    const std::string database = store_path(profiling.database);
    std::optional<MeasuringLock> lock;
    if (may_be_profiled(database)) lock.emplace(database, profiling.device);
    json = time_some(choice, points, *runner, seed);
  } catch (const core::Error& e) {
    return fmt::format("not measured: {}", e.what());
  }
  return fmt::format("{} of {} layers of the region were faster when measured", json["faster"].dump(),
                     json["of"].dump());
}

// A tree of the paper's variables: with rounded ones a layer's gain by widening is in its law already.
void draw_safe_region(const std::string& prefix, const profile::SampleSet& set, const profile::TimeModel& model,
                      const profile::FitOptions& options, profile::Runner* runner, const ProfilingOptions& profiling) {
  std::vector<const Sample*> convs;
  for (const Sample& sample : set.samples)
    if (sample.component.layer.op == Op::kConv2d) convs.push_back(&sample);
  if (!model.covers(Op::kConv2d)) return note("figure 4: nothing to draw: the model has no convolutions");
  profile::FitOptions of_paper = options;
  of_paper.features = profile::Features::kPaper;
  const bool fitted = options.features == profile::Features::kPaper;
  const profile::Tree tree =
      fitted ? model.op(Op::kConv2d).tree() : profile::OpModel::fit(Op::kConv2d, convs, of_paper).tree();
  const std::optional<Choice> choice = choose_region(tree, convs);
  const std::vector<std::pair<int, int>> points = choice ? points_of(*choice) : std::vector<std::pair<int, int>>();
  nlohmann::json json = {{"tree", profile::tree_to_json(tree)}, {"regions", nlohmann::json::array()}};
  std::string said, measured;
  if (points.empty()) {
    std::set<std::string> asked;
    for (const profile::Node& node : tree.nodes)
      if (!node.is_leaf() && node.condition.kind == profile::Condition::Kind::kMultiple)
        asked.insert(fmt::format("{} of {}", profile::field_name(Op::kConv2d, node.condition.field),
                                 profile::format_number(node.condition.threshold)));
    said = asked.empty()
               ? fmt::format(
                     "there is none: no rule of the convolutions' tree (of the paper's variables, {} rules) asks "
                     "for a multiple of a channel count",
                     (tree.nodes.size() + 1) / 2)
               : fmt::format(
                     "there is none: by the tree's laws widening to the multiples that it asks for ({}) is "
                     "faster nowhere for sure",
                     fmt::join(asked, ", "));
  } else {
    const SafeRegion& region = choice->region;
    nlohmann::json timed;
    measured = measured_text(*choice, points, runner, profiling, options.seed, timed);
    said = profile::simplified_model(Op::kConv2d, {region});
    json["layer"] = device::component_to_json(choice->layer);
    json["regions"] = {{{"condition", profile::describe(Op::kConv2d, region.condition)},
                        {"where", region.where},
                        {"in_channel", bounds_json(region.in)},
                        {"out_channel", bounds_json(region.out)},
                        {"multiple", law_json(region.multiple)},
                        {"other", law_json(region.other)},
                        {"samples", region.samples},
                        {"square", count_json(region.square)}}};
    json["simplified"] = said;
    json["measured"] = std::move(timed);
  }
  write_json(prefix + ".json", json);
  for (const char* earlier : {".gp", ".svg", ".plot.csv"}) std::filesystem::remove(prefix + earlier);
  if (!points.empty()) report(profile::plot(prefix, {picture(*choice, points, measured)}));
  if (!points.empty()) said += fmt::format(" (a rule of {} samples); {}", choice->region.samples, measured);
  note("figure 4: {}", said);
}

}  // namespace

void draw_figures(const std::string& folder, const profile::SampleSet& set, const profile::TimeModel& model,
                  const profile::FitOptions& options, profile::Runner* runner, const ProfilingOptions& profiling) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) core::fail("--figures {}: cannot make the folder: {}", folder, error.message());
  write_json(folder + "/model.json", model.to_json());
  for (const auto& [op, q] : model.quality())
    report(profile::plot_graph(fmt::format("{}/tree_{}", folder, nn::op_name(op)), model.dot(op)));
  draw_safe_region(folder + "/safe_region", set, model, options, runner, profiling);
}

}  // namespace fdi::cli
