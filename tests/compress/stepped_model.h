// Time models with laws written by hand, and networks of random widths: what expansion and the searches for widths are
// judged on.
#pragma once
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "core/rng.h"
#include "nn/builder.h"
#include "nn/layer.h"
#include "nn/model_file.h"
#include "profile/time_model.h"
#include "profile/tree.h"

namespace fdi::compress {

// us = bias + per_mflop * MFLOP + per_kmem * 1000 floats of memory.
inline profile::Law linear_law(double bias, double per_mflop, double per_kmem) {
  return {.variables = {{.field = profile::Field::kFlops}, {.field = profile::Field::kMem}},
          .weight = {per_mflop * 1e-6, per_kmem * 1e-3},
          .bias = bias};
}

inline profile::Node leaf(profile::Law law) {
  profile::Node node;
  node.law = std::move(law);
  return node;
}

inline profile::Node split(profile::Field field, profile::Condition::Kind kind, double threshold, int left, int right,
                           profile::Law law = linear_law(1, 1, 1)) {
  profile::Node node = leaf(std::move(law));
  node.condition = {field, kind, threshold};
  node.left = left;
  node.right = right;
  return node;
}

// Of every op; those without a tree of their own take 0.1 us and the memory's time.
inline profile::TimeModel planted_model(const std::map<nn::Op, std::vector<profile::Node>>& trees,
                                        const device::Identity& device = {}) {
  using nlohmann::json;
  json ops = json::object();
  for (const nn::OpInfo* info : nn::all_ops()) {
    profile::Tree tree{.op = info->op, .nodes = {leaf(linear_law(0.1, 0, 0.02))}};
    if (const auto found = trees.find(info->op); found != trees.end()) tree.nodes = found->second;
    json p_values = json::object(), ranges = json::object();
    for (const profile::Field f : profile::explanatory_fields(info->op))
      p_values[std::string(profile::field_name(info->op, f))] = 0.5;
    for (const profile::Field f : profile::structure_fields(info->op))
      ranges[std::string(profile::field_name(info->op, f))] = {{"min", 0}, {"max", 512}};
    for (const profile::Field f : {profile::Field::kFlops, profile::Field::kNetworkBytes})
      ranges[std::string(profile::field_name(info->op, f))] = {{"max", 1e12}};
    json op = {{"samples", 20}, {"held_out", 5}, {"tree", profile::tree_to_json(tree)}, {"p_values", p_values}};
    for (const char* name : {"mape", "mae_us", "r2", "within_5", "within_10", "noise_floor"}) op[name] = 0;
    op["half_width"] = std::vector<double>(tree.nodes.size(), 0.1);
    op["scope"] = {{"ranges", ranges},
                   {"kernels", {{1, 1}, {2, 2}, {3, 3}, {5, 5}, {1, 3}, {1, 4}}},
                   {"strides", {{1, 1}, {2, 2}, {1, 2}}}};
    ops[info->name] = std::move(op);
  }
  return profile::TimeModel::from_json({{"format", "fastdeepiot time model"},
                                        {"version", 2},
                                        {"device", device::identity_to_json(device)},
                                        {"ops", std::move(ops)}},
                                       "planted");
}

// Convolutions and fcs that are faster where their channels are multiples; how much, and of what, is drawn.
inline profile::TimeModel stepped_model(uint64_t seed) {
  using profile::Field;
  constexpr auto kMultiple = profile::Condition::Kind::kMultiple;
  core::Rng rng(seed, core::Stream::kTest, 1);
  const auto tree = [&] {
    const auto law = [&](double slower) {
      return linear_law(2 * slower, 20 * slower * double{rng.uniform(0.9F, 1.1F)}, 0.1 * slower);
    };
    const double in = std::vector{2, 3, 4, 6}[rng.below(4)], out = std::vector{4, 8, 12, 16}[rng.below(4)];
    // in multiple: out multiple, or not; else: out multiple, or not, both slower.
    return std::vector<profile::Node>{split(Field::kInChannel, kMultiple, in, 1, 2, law(1.5)),
                                      split(Field::kOutChannel, kMultiple, out, 3, 4, law(1.1)),
                                      split(Field::kOutChannel, kMultiple, out, 5, 6, law(1.4)),
                                      leaf(law(1)),
                                      leaf(law(1.2)),
                                      leaf(law(1.25)),
                                      leaf(law(1.6))};
  };
  auto conv = tree(), fc = tree();
  return planted_model({{nn::Op::kConv2d, std::move(conv)}, {nn::Op::kFc, std::move(fc)}});
}

// Random weights everywhere, running statistics too, so that a misplaced one shows.
inline nn::Model random_model(const nn::NetworkSpec& spec) {
  nn::Parameters parameters(spec);
  parameters.initialize(3);
  core::Rng rng(5, core::Stream::kTest);
  for (const auto& e : parameters.entries())
    for (float& v : parameters.tensor(e).span())
      v = e.spec.name == "running_var" ? rng.uniform(0.5F, 2) : v + rng.uniform(-0.2F, 0.2F);
  return {spec, std::move(parameters), {{"classes", "[\"a\",\"b\"]"}}};
}

// Convolutions and then an fc of these units, and an output of 4.
inline nn::NetworkSpec chain(const std::vector<int>& units, int size = 8) {
  nn::SpecBuilder b("chain", {size, size, 3});
  for (size_t i = 0; i + 1 < units.size(); ++i) {
    const std::string name = "conv" + std::to_string(i + 1);
    b.add(nn::Op::kConv2d, name, {.units = units[i], .kernel = {3, 3}, .bias = false});
    b.add(nn::Op::kBatchNorm, name + "_bn");
    b.add(nn::Op::kRelu, name + "_relu");
  }
  b.add(nn::Op::kMaxPool, "pool", {.kernel = {2, 2}, .stride = {2, 2}, .padding = nn::Padding::kValid});
  b.add(nn::Op::kFlatten, "flatten");
  b.add(nn::Op::kFc, "fc1", {.units = units.back()});
  b.add(nn::Op::kRelu, "fc1_relu");
  b.add(nn::Op::kFc, "fc2", {.units = 4});
  return b.take();
}

}  // namespace fdi::compress
