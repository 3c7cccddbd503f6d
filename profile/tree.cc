#include "profile/tree.h"

#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "profile/json_fields.h"

namespace fdi::profile {

using nn::Op;

bool Condition::holds(const Structure& structure) const {
  const double value = structure[field];
  return kind == Kind::kRange ? value <= threshold : std::fmod(value, threshold) == 0;
}

std::string describe(Op op, const Condition& condition, bool holds) {
  const std::string_view name = field_name(op, condition.field);
  if (condition.kind == Condition::Kind::kMultiple)
    return fmt::format("{} is {} multiple of {}", name, holds ? "a" : "no", format_number(condition.threshold));
  const std::string bound =
      condition.field == Field::kNetworkBytes ? format_bytes(condition.threshold) : format_number(condition.threshold);
  return fmt::format("{} {} {}", name, holds ? "<=" : ">", bound);
}

int Tree::leaf_of(const Structure& structure) const {
  int at = 0;
  while (!nodes[at].is_leaf()) at = nodes[at].condition.holds(structure) ? nodes[at].left : nodes[at].right;
  return at;
}

std::string Tree::path(int node) const {
  std::string text;
  for (int parent = node - 1; parent >= 0; --parent) {
    if (nodes[parent].left != node && nodes[parent].right != node) continue;
    text = fmt::format("{}{}{}", describe(op, nodes[parent].condition, nodes[parent].left == node),
                       text.empty() ? "" : ", ", text);
    node = parent;
  }
  return text.empty() ? "always" : text;
}

nlohmann::json tree_to_json(const Tree& tree) {
  nlohmann::json nodes = nlohmann::json::array();
  for (const Node& node : tree.nodes) {
    nlohmann::json json = {{"samples", node.samples}, {"mape", node.mape}, {"law", law_to_json(tree.op, node.law)}};
    if (!node.is_leaf()) {
      const bool range = node.condition.kind == Condition::Kind::kRange;
      json["if"] = {{"feature", field_name(tree.op, node.condition.field)},
                    {range ? "at_most" : "multiple_of", node.condition.threshold}};
      json["then"] = node.left;
      json["else"] = node.right;
    }
    nodes.push_back(std::move(json));
  }
  return nodes;
}

Tree tree_from_json(Op op, const nlohmann::json& json, const std::string& where) {
  Tree tree{.op = op, .nodes = {}};
  if (!json.is_array() || json.empty()) core::fail("{}: the tree of {} has no nodes", where, nn::op_name(op));
  const int count = static_cast<int>(json.size());
  for (int i = 0; i < count; ++i) {
    const std::string here = fmt::format("{}: node {} of {}", where, i, nn::op_name(op));
    Node node;
    node.samples = static_cast<int>(number_field(json[i], "samples", here, 0, 1e9));
    node.mape = number_field(json[i], "mape", here, 0);
    node.law = law_from_json(op, field(json[i], "law", here), here);
    if (json[i].contains("if")) {
      const nlohmann::json& condition = json[i]["if"];
      node.condition.field = field_of(op, text_field(condition, "feature", here), here);
      const bool range = condition.contains("at_most");
      node.condition.kind = range ? Condition::Kind::kRange : Condition::Kind::kMultiple;
      node.condition.threshold =
          range ? number_field(condition, "at_most", here, 0) : number_field(condition, "multiple_of", here, 1, 1e9);
      // Children come behind their parent, so a walk ends.
      node.left = static_cast<int>(number_field(json[i], "then", here, i + 1, count - 1));
      node.right = static_cast<int>(number_field(json[i], "else", here, i + 1, count - 1));
    }
    tree.nodes.push_back(std::move(node));
  }
  return tree;
}

}  // namespace fdi::profile
