#include "profile/op_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/rng.h"
#include "profile/json_fields.h"
#include "profile/statistics.h"

namespace fdi::profile {
namespace {

using nn::Op;

constexpr double kCoverage = 0.9;
constexpr size_t kOwnInterval = 20;  // held-out samples that a leaf needs for an interval of its own

// Table 4: of the paper's explanatory variables.
std::vector<std::pair<std::string, double>> table_4(Op op, std::span<const Observation> observations) {
  std::vector<std::vector<double>> x;
  std::vector<double> y;
  for (const Observation& o : observations) {
    x.emplace_back();
    for (const Field field : explanatory_fields(op)) x.back().push_back(o.structure[field]);
    y.push_back(o.us);
  }
  const std::vector<double> p = p_values(x, y);
  std::vector<std::pair<std::string, double>> table;
  for (size_t i = 0; i < p.size(); ++i) table.emplace_back(field_name(op, explanatory_fields(op)[i]), p[i]);
  return table;
}

}  // namespace

OpQuality quality_of(std::span<const double> predicted, std::span<const Observation> held_out) {
  std::vector<double> measured;
  for (const Observation& o : held_out) measured.push_back(o.us);
  const Errors e = errors(predicted, measured);
  OpQuality quality;
  quality.held_out = static_cast<int>(held_out.size());
  quality.mape = e.mape;
  quality.mae_us = e.mae_us;
  quality.r2 = e.r2;
  quality.within_5 = e.within_5;
  quality.within_10 = e.within_10;
  return quality;
}

double noise_floor(std::span<const Sample* const> samples) {
  double sum = 0;
  int count = 0;
  for (const Sample* sample : samples) {
    if (sample->pass_us.size() < 2) continue;
    std::array<std::vector<double>, 2> halves;
    for (size_t i = 0; i < sample->pass_us.size(); ++i) halves[i % 2].push_back(sample->pass_us[i]);
    const double first = median(std::move(halves[0])), second = median(std::move(halves[1]));
    sum += std::abs(second - first) / first;
    ++count;
  }
  return count > 0 ? sum / count : 0;
}

nlohmann::json quality_to_json(const OpQuality& q) {
  nlohmann::json p_values = nlohmann::json::object();
  for (const auto& [name, p] : q.p_values) p_values[name] = p;
  return {{"samples", q.samples},
          {"held_out", q.held_out},
          {"mape", q.mape},
          {"mae_us", q.mae_us},
          {"r2", q.r2},
          {"within_5", q.within_5},
          {"within_10", q.within_10},
          {"noise_floor", q.noise_floor},
          {"p_values", std::move(p_values)}};
}

std::vector<Observation> observe(std::span<const Sample* const> samples) {
  std::vector<Observation> observations;
  for (const Sample* sample : samples)
    observations.push_back({structure_of(sample->component), sample->time.median_us});
  return observations;
}

Split split_samples(Op op, std::span<const Sample* const> samples, const FitOptions& options) {
  std::vector<std::pair<Observation, const Sample*>> sorted;
  for (const Sample* sample : samples)
    sorted.emplace_back(Observation{structure_of(sample->component), sample->time.median_us}, sample);
  std::sort(sorted.begin(), sorted.end(), [](const auto& a, const auto& b) {
    return a.first.structure.value != b.first.structure.value ? a.first.structure.value < b.first.structure.value
                                                              : a.first.us < b.first.us;
  });
  std::vector<Observation> observations;
  observations.reserve(sorted.size());
  for (const auto& [observation, sample] : sorted) observations.push_back(observation);
  std::vector<std::pair<size_t, size_t>> groups = equal_structures(observations);
  core::Rng rng(options.seed, core::Stream::kSplit, op);
  rng.shuffle(groups.begin(), groups.end());
  const auto wanted = static_cast<size_t>(std::llround(options.held_out * static_cast<double>(sorted.size())));
  Split split;
  for (const auto& [begin, end] : groups) {
    const bool fits = split.held_out.size() + (end - begin) <= wanted;
    for (size_t i = begin; i < end; ++i) (fits ? split.held_out : split.training).push_back(sorted[i].second);
  }
  if (wanted == 0 || !split.held_out.empty()) return split;
  // So few structures that each one is needed: how steady their times are is all that can be judged.
  rng.shuffle(split.training.begin(), split.training.end());
  split.held_out.assign(split.training.end() - static_cast<std::ptrdiff_t>(wanted), split.training.end());
  split.training.resize(split.training.size() - wanted);
  return split;
}

OpModel OpModel::fit(Op op, std::span<const Sample* const> samples, const FitOptions& options) {
  for (const Sample* sample : samples)
    if (const double us = sample->time.median_us; !(us > 0 && std::isfinite(us)))
      core::fail("{} a sample's time is {} us, want a positive number; measure it anew or remove it",
                 describe(sample->component.layer), us);
  const Split split = split_samples(op, samples, options);
  const std::vector<Observation> training = observe(split.training), held_out = observe(split.held_out);
  OpModel model;
  model.tree_ = fit_tree(training, options);
  for (const auto& part : {training, held_out})
    for (const Observation& o : part) model.scope_.add(o.structure);
  std::vector<double> predicted;
  predicted.reserve(held_out.size());
  for (const Observation& o : held_out) predicted.push_back(model.tree_.predict(o.structure));
  model.quality_ = quality_of(predicted, held_out);
  std::vector<const Sample*> ordered = split.training;
  ordered.insert(ordered.end(), split.held_out.begin(), split.held_out.end());
  model.quality_.samples = static_cast<int>(samples.size());
  model.quality_.noise_floor = noise_floor(ordered);
  model.quality_.p_values = table_4(op, training);
  model.set_intervals(training, held_out);
  model.write_rules();
  return model;
}

// Split-conformal: of a leaf where enough held-out samples fell into it, else of the nearest node above that has them.
void OpModel::set_intervals(std::span<const Observation> training, std::span<const Observation> held_out) {
  const size_t n = tree_.nodes.size();
  std::vector<std::vector<double>> residuals(n);
  std::vector<int> parent(n, -1);
  for (size_t i = 0; i < n; ++i)
    if (!tree_.nodes[i].is_leaf()) parent[tree_.nodes[i].left] = parent[tree_.nodes[i].right] = static_cast<int>(i);
  double largest = 0;
  const auto residual = [&](const Observation& o) {
    const double r = std::abs(o.us / std::max(tree_.predict(o.structure), 1e-9) - 1);
    largest = std::max(largest, r);
    return r;
  };
  for (const Observation& o : held_out) {
    const double r = residual(o);
    for (int at = tree_.leaf_of(o.structure); at >= 0; at = parent[at]) residuals[at].push_back(r);
  }
  for (const Observation& o : training) residual(o);
  half_width_.assign(n, 0);
  for (size_t i = 0; i < n; ++i) {
    const bool own = i == 0 || residuals[i].size() >= kOwnInterval;
    half_width_[i] = own ? std::min(largest, conformal_quantile(residuals[i], kCoverage)) : half_width_[parent[i]];
  }
}

void OpModel::write_rules() {
  rule_.resize(tree_.nodes.size());
  for (size_t i = 0; i < tree_.nodes.size(); ++i)
    if (tree_.nodes[i].is_leaf())
      rule_[i] = fmt::format("{} -> {}", tree_.path(static_cast<int>(i)), describe(tree_.op, tree_.nodes[i].law));
}

Prediction OpModel::predict(const device::Component& component) const {
  const Structure structure = structure_of(component);
  const int leaf = tree_.leaf_of(structure);
  const double us = tree_.nodes[leaf].law(structure), width = half_width_[leaf];
  return {.us = us,
          .low_us = us * std::max(0.0, 1 - width),
          .high_us = us * (1 + width),
          .rule = rule_[leaf],
          .outside = scope_.outside(structure)};
}

std::string OpModel::rules() const {
  return fmt::format(
      "{}  ({} samples; {} held out: {:.1f}% off on average, {:.0f}% of them within 10%; noise {:.1f}%)\n"
      "sampled: {}\n{}\n{}",
      nn::op_name(tree_.op), quality_.samples, quality_.held_out, 100 * quality_.mape, 100 * quality_.within_10,
      100 * quality_.noise_floor, scope_.text(tree_.op), tree_.found(), tree_.text());
}

nlohmann::json OpModel::to_json() const {
  nlohmann::json json = quality_to_json(quality_);
  json["half_width"] = half_width_;
  json["scope"] = scope_.to_json(tree_.op);
  json["tree"] = tree_to_json(tree_);
  return json;
}

OpModel OpModel::from_json(Op op, const nlohmann::json& json, const std::string& where) {
  OpModel model;
  OpQuality& q = model.quality_;
  q.samples = static_cast<int>(number_field(json, "samples", where, 0, 1e9));
  q.held_out = static_cast<int>(number_field(json, "held_out", where, 0, 1e9));
  q.mape = number_field(json, "mape", where, 0);
  q.mae_us = number_field(json, "mae_us", where, 0);
  q.r2 = number_field(json, "r2", where, std::numeric_limits<double>::lowest());
  q.within_5 = number_field(json, "within_5", where, 0, 1);
  q.within_10 = number_field(json, "within_10", where, 0, 1);
  q.noise_floor = number_field(json, "noise_floor", where, 0);
  const nlohmann::json& p_values = field(json, "p_values", where);
  for (const Field f : explanatory_fields(op)) {
    const std::string name(field_name(op, f));
    q.p_values.emplace_back(name, number_field(p_values, name.c_str(), where, 0, 1));
  }
  model.tree_ = tree_from_json(op, field(json, "tree", where), where);
  for (const nlohmann::json& width : array_field(json, "half_width", where)) {
    if (!width.is_number() || !(width.get<double>() >= 0))
      core::fail("{}: \"half_width\" holds {}, want numbers from 0", where, width.dump());
    model.half_width_.push_back(width.get<double>());
  }
  if (model.half_width_.size() != model.tree_.nodes.size())
    core::fail("{}: {} interval widths for a tree of {} nodes; the file is damaged, fit the model anew", where,
               model.half_width_.size(), model.tree_.nodes.size());
  model.scope_ = Scope::from_json(op, field(json, "scope", where), where);
  model.write_rules();
  return model;
}

}  // namespace fdi::profile
