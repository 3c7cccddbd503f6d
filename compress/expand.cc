#include "compress/expand.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "compress/shrink.h"
#include "core/check.h"

namespace fdi::compress {
namespace {

using profile::Axis;
using profile::Condition;
using profile::Field;
using profile::Structure;

constexpr int kLargestStep = 1024;  // no kernel rounds to more; a step from a damaged file may be anything
constexpr size_t kLargestTables = 20000;
constexpr double kSame = 1e-9;  // relative: totals that differ by less are summed in another order

bool shorter(double a, double b) { return a < b * (1 - kSame); }

// The steps that a rule takes along a channel count.
using Steps = std::set<std::pair<Field, int>>;

bool is_step(double step) { return step > 1 && step <= kLargestStep && step == std::floor(step); }
bool is_multiple(const Condition& condition) { return condition.kind == Condition::Kind::kMultiple; }

Steps steps_of(const profile::Tree& tree) {
  Steps steps;
  for (const profile::Node& node : tree.nodes) {
    if (!node.is_leaf()) {
      if (is_multiple(node.condition) && is_step(node.condition.threshold))
        steps.emplace(node.condition.field, static_cast<int>(node.condition.threshold));
      continue;
    }
    for (size_t i = 0; i < node.law.variables.size(); ++i) {
      const profile::Variable& variable = node.law.variables[i];
      const profile::Granularity& g = variable.granularity;
      if (node.law.weight[i] == 0) continue;
      if (const profile::Gate& gate = variable.gate; is_step(gate.no_multiple_of))
        steps.emplace(gate.field, gate.no_multiple_of);
      for (const auto& [axis, field] :
           {std::pair(Axis::kInChannel, Field::kInChannel), std::pair(Axis::kOutChannel, Field::kOutChannel)})
        if (is_step(g[axis])) steps.emplace(field, g[axis]);
    }
  }
  return steps;
}

// How many units the group of an axis needs more, so that the count, `extent` now, is a multiple of `step`; -1: no
// number will do.
int units_to_multiple(const ChannelAxis& axis, int extent, int step) {
  for (int more = 0; more < step; ++more)
    if ((extent + int64_t{axis.per_unit} * more) % step == 0) return more;
  return -1;
}

// The least widening of one group that makes the condition hold; empty where none does.
std::vector<int> widened(const NetworkTimes& times, size_t layer, const Condition& condition,
                         const std::vector<int>& widths) {
  std::vector<int> best;
  if (!is_step(condition.threshold)) return best;
  int extent = 0;
  for (const ChannelAxis& axis : times.axes_of(layer)) {
    if (axis.field != condition.field) continue;
    if (extent == 0) extent = axis.extent;
    extent += axis.per_unit * (widths[axis.group] - times.own()[axis.group]);
  }
  int64_t least = 0;  // channels more
  for (const ChannelAxis& axis : times.axes_of(layer)) {
    if (axis.field != condition.field) continue;
    const int more = units_to_multiple(axis, extent, static_cast<int>(condition.threshold));
    if (more < 0 || (!best.empty() && int64_t{axis.per_unit} * more >= least)) continue;
    least = int64_t{axis.per_unit} * more;
    best = widths;
    best[axis.group] += more;
  }
  return best;
}

// The widths at which the walk of Algorithm 2 through the tree of a layer ends.
std::vector<int> walk(const NetworkTimes& times, size_t layer) {
  std::vector<int> widths = times.own();
  Structure f = times.structure(widths, layer);
  const profile::Tree& tree = times.tree_of(layer);
  std::vector<std::pair<Condition, bool>> ranges;  // met on the way, and whether they hold
  for (int at = 0; !tree.nodes[at].is_leaf();) {
    const profile::Node& node = tree.nodes[at];
    bool left = node.condition.holds(f);
    if (!is_multiple(node.condition)) {
      ranges.emplace_back(node.condition, left);
    } else if (!left) {
      const std::vector<int> wider = widened(times, layer, node.condition, widths);
      if (!wider.empty()) {
        const Structure f_wider = times.structure(wider, layer);
        left = tree.nodes[node.left].law(f_wider) < tree.nodes[node.right].law(f) &&
               std::ranges::all_of(ranges, [&](const auto& r) { return r.first.holds(f_wider) == r.second; });
        if (left) {
          widths = wider;
          f = f_wider;
        }
      }
    }
    at = left ? node.left : node.right;
  }
  return widths;
}

// The widths found so far, and ever shorter ones.
struct Best {
  const NetworkTimes& times;
  std::vector<int> widths = times.own();
  double us = times.total_us(widths);

  bool take(const std::vector<int>& other) {
    if (other == widths) return false;
    const double other_us = times.total_us(other);
    if (!shorter(other_us, us)) return false;
    widths = other;
    us = other_us;
    return true;
  }
  bool take(std::initializer_list<std::pair<size_t, int>> changes) {
    std::vector<int> other = widths;
    for (const auto& [group, width] : changes) other[group] = width;
    return take(other);
  }
};

using Candidates = std::vector<std::vector<int>>;

// Until no change of one width, or with `pairs` of two, is shorter.
void descend(Best& best, const Candidates& candidates, bool pairs) {
  for (bool better = true; better;) {
    better = false;
    for (size_t g = 0; g < candidates.size(); ++g)
      for (const int width : candidates[g]) better = best.take({{g, width}}) || better;
    if (better || !pairs) continue;
    for (size_t g = 0; g < candidates.size(); ++g)
      for (size_t h = 0; h < g; ++h)
        for (const int width : candidates[g])
          for (const int other : candidates[h]) better = best.take({{g, width}, {h, other}}) || better;
  }
}

}  // namespace

std::vector<int> expand_paper(const NetworkTimes& times) {
  std::vector<std::set<int>> wanted(times.own().size());
  for (size_t i = 0; i < times.size(); ++i) {
    if (times.groups_of(i).empty()) continue;
    const std::vector<int> widths = walk(times, i);
    for (const size_t g : times.groups_of(i)) wanted[g].insert(widths[g]);
  }
  Best best{times};
  for (size_t g = 0; g < wanted.size(); ++g)
    for (const int width : wanted[g]) best.take({{g, width}});
  return best.widths;
}

Candidates expansion_candidates(const NetworkTimes& times) {
  std::vector<std::set<int>> widths;
  for (const int own : times.own()) widths.push_back({own});
  for (size_t i = 0; i < times.size(); ++i) {
    const Steps steps = steps_of(times.tree_of(i));
    for (const ChannelAxis& axis : times.axes_of(i))
      for (const auto& [field, step] : steps)
        if (field == axis.field)
          if (const int more = units_to_multiple(axis, axis.extent, step); more > 0)
            widths[axis.group].insert(times.own()[axis.group] + more);
  }
  Candidates out;
  for (const auto& w : widths) out.emplace_back(w.begin(), w.end());
  return out;
}

std::vector<int> expand_joint(const NetworkTimes& times) {
  Candidates candidates = expansion_candidates(times);
  const std::vector<int> paper = expand_paper(times);
  std::vector<int> choices;
  for (size_t g = 0; g < paper.size(); ++g) {
    auto& own = candidates[g];
    if (!std::ranges::binary_search(own, paper[g])) own.insert(std::ranges::upper_bound(own, paper[g]), paper[g]);
    choices.push_back(static_cast<int>(own.size()));
  }
  Best best{times};
  best.take(paper);
  bool exact = false;
  for (bool better = true; better;) {  // again: the network's size in memory is taken as it was before
    auto tables = times.tables(candidates, best.widths, kLargestTables);
    const auto choice = tables ? least_sum(choices, std::move(*tables)) : std::nullopt;
    exact = choice.has_value();
    if (!exact) break;
    std::vector<int> widths;
    for (size_t g = 0; g < choice->size(); ++g) widths.push_back(candidates[g][static_cast<size_t>((*choice)[g])]);
    better = best.take(widths);
  }
  descend(best, candidates, !exact);
  for (size_t g = 0; g < candidates.size(); ++g) {  // nothing is widened for nothing
    std::vector<int> widths = best.widths;
    widths[g] = times.own()[g];
    if (!shorter(best.us, times.total_us(widths))) best.widths = widths;
  }
  return best.widths;
}

std::vector<Trial> try_widening(const nn::NetworkSpec& spec, const nn::UnitGroups& groups, const NetworkTimes& times,
                                std::vector<int> widths, const MeasureNetworks& measure) {
  std::vector<Trial> trials;
  while (widths != times.own()) {
    const std::vector<double> us = measure({spec, nn::with_widths(spec, groups, widths)});
    CHECK(us.size() == 2);
    trials.push_back({widths, times.total_us(widths), us[0], us[1]});
    if (trials.back().faster()) break;
    std::vector<std::pair<double, size_t>> gains;  // of each widened group: time more without it
    for (size_t g = 0; g < widths.size(); ++g) {
      if (widths[g] == times.own()[g]) continue;
      std::vector<int> without = widths;
      without[g] = times.own()[g];
      gains.emplace_back(times.total_us(without) - trials.back().predicted_us, g);
    }
    std::ranges::sort(gains);
    gains.resize((gains.size() + 1) / 2);
    for (const auto& [gain, g] : gains) widths[g] = times.own()[g];
  }
  return trials;
}

}  // namespace fdi::compress
