// Tree: the time of one op as a binary tree of conditions with a linear law at every node (paper, Algorithm 1). Plain
// data: built by tree_fit, walked by predictions and by the expansion of layers, printed as rules, JSON and figure 2.
#pragma once
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "profile/variable.h"

namespace fdi::profile {

struct Condition {
  enum class Kind : uint8_t { kRange, kMultiple };
  Field field = Field::kInChannel;
  Kind kind = Kind::kRange;
  double threshold = 0;  // range: field <= threshold; multiple: field is a multiple of threshold
  bool holds(const Structure& structure) const;
  bool operator==(const Condition&) const = default;
};
// "in_channel is a multiple of 4", "param_size <= 2.1M"; of a condition that does not hold its opposite.
std::string describe(nn::Op op, const Condition& condition, bool holds = true);

struct Node {
  Condition condition;        // of an inner node
  int left = -1, right = -1;  // where the condition holds, where it does not; -1: a leaf
  Law law;                    // fitted to all samples of the node, of inner nodes too
  int samples = 0;
  double mape = 0;  // of the law on these samples
  bool is_leaf() const { return left < 0; }
};

struct Tree {
  nn::Op op = nn::Op::kConv2d;
  std::vector<Node> nodes;  // breadth-first, the root first: children come behind their parents
  int leaf_of(const Structure& structure) const;
  double predict(const Structure& structure) const { return nodes[leaf_of(structure)].law(structure); }
  std::string path(int node) const;  // "in_channel is a multiple of 4, param_size > 2.1M"; the root: "always"
  // For a person, written in tree_text.cc. Lines of at most 120 columns where the tree is not very deep.
  std::string text() const;   // the tree, indented; laws that are too long for a line name their terms x1, x2, ...
  std::string found() const;  // one sentence: which sizes are rounded up to what, which memory bounds there are
  std::string dot() const;    // Graphviz source of figure 2; of a law the largest terms
};

nlohmann::json tree_to_json(const Tree& tree);
Tree tree_from_json(nn::Op op, const nlohmann::json& json, const std::string& where);

}  // namespace fdi::profile
