#include "profile/tree_prune.h"

namespace fdi::profile {
namespace {

struct Subtree {
  double error;  // sum of relative errors of its leaves, as a share of all samples
  int leaves;
};

Subtree mark(const Tree& tree, double gain, int at, std::vector<bool>& keeps) {
  const Node& node = tree.nodes[at];
  const double own = node.mape * node.samples / tree.nodes[0].samples;
  if (node.is_leaf()) return {own, 1};
  const Subtree left = mark(tree, gain, node.left, keeps), right = mark(tree, gain, node.right, keeps);
  const Subtree below{left.error + right.error, left.leaves + right.leaves};
  if (own - below.error < gain * (below.leaves - 1)) return {own, 1};
  keeps[at] = true;
  return below;
}

}  // namespace

Tree pruned(const Tree& tree, double gain) {
  std::vector<bool> keeps(tree.nodes.size());
  mark(tree, gain, 0, keeps);
  Tree out{.op = tree.op, .nodes = {tree.nodes[0]}};
  std::vector<int> from{0};
  for (size_t at = 0; at < out.nodes.size(); ++at) {  // breadth-first again
    const Node& source = tree.nodes[from[at]];
    out.nodes[at].left = out.nodes[at].right = -1;
    if (!keeps[from[at]]) continue;
    out.nodes[at].left = static_cast<int>(out.nodes.size());
    out.nodes[at].right = out.nodes[at].left + 1;
    for (const int child : {source.left, source.right}) {
      out.nodes.push_back(tree.nodes[child]);
      from.push_back(child);
    }
  }
  return out;
}

}  // namespace fdi::profile
