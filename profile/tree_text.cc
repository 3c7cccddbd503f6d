// How a tree reads: its rules as indented text, what it has found in a sentence, and figure 2 as Graphviz source.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "core/text.h"
#include "profile/tree.h"

namespace fdi::profile {
namespace {

constexpr double kNotable = 0.02;  // of the time

// A variable of the leaves' laws and its part of the whole tree's time.
struct Term {
  Variable variable;
  double share = 0;
};

// Those that any leaf uses, the largest part first.
std::vector<Term> leaf_terms(const Tree& tree) {
  std::vector<Term> terms;
  for (const Node& node : tree.nodes) {
    if (!node.is_leaf()) continue;
    for (size_t i = 0; i < node.law.variables.size(); ++i) {
      if (node.law.weight[i] == 0) continue;
      auto at = std::find_if(terms.begin(), terms.end(),
                             [&](const Term& term) { return term.variable == node.law.variables[i]; });
      if (at == terms.end()) at = terms.insert(terms.end(), {node.law.variables[i]});
      if (!node.law.share.empty()) at->share += node.law.share[i] * node.samples / tree.nodes[0].samples;
    }
  }
  std::stable_sort(terms.begin(), terms.end(), [](const Term& a, const Term& b) { return a.share > b.share; });
  return terms;
}

// "3.13 x1 + 0.0197 x2 + 0.1 us"
std::string short_law(nn::Op op, const Law& law, const std::vector<Term>& terms) {
  std::string text;
  for (size_t k = 0; k < terms.size(); ++k) {
    const auto at = std::find(law.variables.begin(), law.variables.end(), terms[k].variable);
    if (at == law.variables.end()) continue;
    const double weight = law.weight[at - law.variables.begin()];
    if (weight > 0)
      text += fmt::format("{}{:.3g} x{}", text.empty() ? "" : " + ", weight_in_unit(op, *at, weight), k + 1);
  }
  if (law.bias > 0 || text.empty()) text += fmt::format("{}{:.3g} us", text.empty() ? "" : " + ", law.bias);
  return text;
}

class Printer {
 public:
  explicit Printer(const Tree& tree) : tree_(tree) {
    for (size_t i = 0; i < tree.nodes.size(); ++i)
      if (tree.nodes[i].is_leaf() && describe(tree.op, tree.nodes[i].law).size() > core::kColumns / 2)
        terms_ = leaf_terms(tree);
  }
  std::string text() {
    for (size_t k = 0; k < terms_.size(); ++k) {
      std::string line = fmt::format("  x{:<2} {}", k + 1, describe_term(tree_.op, terms_[k].variable));
      if (terms_[k].share > 0) line += fmt::format(": {:.1f}% of the time", 100 * terms_[k].share);
      text_ += core::wrapped(line, 6) + "\n";
    }
    append(0, 0);
    return std::move(text_);
  }

 private:
  void append(int index, size_t depth) {
    const Node& node = tree_.nodes[index];
    const std::string indent(2 * depth, ' ');
    if (node.is_leaf()) {
      const std::string law = terms_.empty() ? describe(tree_.op, node.law) : short_law(tree_.op, node.law, terms_);
      const std::string line = fmt::format("{}{}  [{} samples, {:.1f}%]", indent, law, node.samples, 100 * node.mape);
      text_ += core::wrapped(line, indent.size() + 4) + "\n";
      return;
    }
    text_ += fmt::format("{}{}:\n", indent, describe(tree_.op, node.condition));
    append(node.left, depth + 1);
    text_ += fmt::format("{}{}:\n", indent, describe(tree_.op, node.condition, false));
    append(node.right, depth + 1);
  }

  const Tree& tree_;
  std::vector<Term> terms_;  // named in a table above the tree; empty: laws are short enough
  std::string text_;
};

// "16 (64% of the time), 32 (8%)", the largest part first; empty where all are small.
std::string by_share(const std::map<std::string, double>& shares, bool& first) {
  std::vector<std::pair<double, std::string>> sorted;
  sorted.reserve(shares.size());
  for (const auto& [what, share] : shares) sorted.emplace_back(-share, what);
  std::sort(sorted.begin(), sorted.end());
  std::string text;
  for (const auto& [share, what] : sorted) {
    if (-share < kNotable) break;
    text += fmt::format("{}{} ({:.0f}%{})", text.empty() ? "" : ", ", what, -100 * share, first ? " of the time" : "");
    first = false;
  }
  return text;
}

// The largest terms of a law, one a line, and how many others there are.
std::string largest_terms(nn::Op op, const Law& law) {
  constexpr size_t kTerms = 3;
  std::vector<size_t> order;
  for (size_t i = 0; i < law.variables.size(); ++i)
    if (law.weight[i] > 0) order.push_back(i);
  if (!law.share.empty())
    std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return law.share[a] > law.share[b]; });
  std::string text;
  for (size_t k = 0; k < std::min(kTerms, order.size()); ++k) {
    const size_t i = order[k];
    text += fmt::format("{:.3g} {}", weight_in_unit(op, law.variables[i], law.weight[i]),
                        describe_term(op, law.variables[i]));
    text += k + 1 < order.size() || law.bias > 0 ? " +\\n" : "\\n";
  }
  if (order.size() > kTerms)
    text += fmt::format("{} smaller terms{}", order.size() - kTerms, law.bias > 0 ? " + " : "");
  if (law.bias > 0 || order.empty()) text += fmt::format("{:.3g} us", law.bias);
  return text.ends_with("\\n") ? text : text + "\\n";
}

}  // namespace

std::string Tree::text() const { return Printer(*this).text(); }

std::string Tree::found() const {
  std::map<Axis, std::map<std::string, double>> steps;
  std::map<Field, std::map<std::string, double>> bounds, uneven;
  for (const Term& term : leaf_terms(*this)) {
    for (size_t i = 0; i < kAxes; ++i)
      if (const int step = term.variable.granularity.step[i]; step > 1)
        steps[static_cast<Axis>(i)][fmt::format("{}", step)] += term.share;
    const Gate& gate = term.variable.gate;
    if (gate.above >= 0)
      bounds[gate.field][gate.field == Field::kNetworkBytes ? format_bytes(gate.above) : format_number(gate.above)] +=
          term.share;
    if (gate.no_multiple_of > 0) uneven[gate.field][fmt::format("{}", gate.no_multiple_of)] += term.share;
  }
  std::string text;
  const auto say = [&](const std::string& what) { text += (text.empty() ? "" : "; ") + what; };
  bool first = true;
  for (const auto& [axis, shares] : steps)
    if (const std::string list = by_share(shares, first); !list.empty())
      say(fmt::format("{} is rounded up to steps of {}", axis_name(op, axis), list));
  for (const auto& [gate, shares] : bounds)
    if (const std::string list = by_share(shares, first); !list.empty())
      say(fmt::format("more time once {} {}",
                      gate == Field::kNetworkBytes ? "the network takes more than"
                                                   : fmt::format("{} is above", field_name(op, gate)),
                      list));
  for (const auto& [gate, shares] : uneven)
    if (const std::string list = by_share(shares, first); !list.empty())
      say(fmt::format("more time where {} is no multiple of {}", field_name(op, gate), list));
  std::set<std::string> multiples;
  for (const Node& node : nodes)
    if (!node.is_leaf() && node.condition.kind == Condition::Kind::kMultiple)
      multiples.insert(
          fmt::format("{} of {}", format_number(node.condition.threshold), field_name(op, node.condition.field)));
  if (!multiples.empty()) {
    std::string list;
    for (const std::string& multiple : multiples) list += (list.empty() ? "" : ", ") + multiple;
    say("laws of their own for multiples of " + list);
  }
  if (text.empty()) text = "no size is rounded up, and memory bounds do not matter";
  return core::wrapped("found: " + text, 2);
}

std::string Tree::dot() const {
  std::string text = fmt::format("digraph {} {{\n  node [shape=box, fontname=\"Helvetica\"];\n", nn::op_name(op));
  for (size_t i = 0; i < nodes.size(); ++i) {
    const Node& node = nodes[i];
    const std::string head = node.is_leaf() ? largest_terms(op, node.law) : describe(op, node.condition) + "?\\n";
    text += fmt::format("  n{} [label=\"{}{} samples, {:.1f}%\"{}];\n", i, head, node.samples, 100 * node.mape,
                        node.is_leaf() ? ", style=rounded" : "");
    if (node.is_leaf()) continue;
    text += fmt::format("  n{} -> n{} [label=\"yes\"];\n  n{} -> n{} [label=\"no\"];\n", i, node.left, i, node.right);
  }
  return text + "}\n";
}

}  // namespace fdi::profile
