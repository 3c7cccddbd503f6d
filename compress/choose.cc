#include "compress/choose.h"

#include <algorithm>
#include <numeric>

namespace fdi::compress {
namespace {

// Units of a group by falling score, and what the first n of them are worth together.
struct Ranking {
  std::vector<int> units;
  std::vector<double> worth{0};
};

Ranking rank(const nn::UnitGroup& group, std::span<const double> score) {
  Ranking ranking;
  ranking.units.resize(static_cast<size_t>(group.count));
  std::iota(ranking.units.begin(), ranking.units.end(), 0);
  const auto own = score.subspan(static_cast<size_t>(group.first), ranking.units.size());
  const auto of = [&](int unit) { return own[static_cast<size_t>(unit)]; };
  std::stable_sort(ranking.units.begin(), ranking.units.end(), [&](int a, int b) { return of(a) > of(b); });
  for (const int unit : ranking.units) ranking.worth.push_back(ranking.worth.back() + of(unit));
  return ranking;
}

std::vector<Ranking> rank_all(const nn::UnitGroups& groups, std::span<const double> score) {
  std::vector<Ranking> rankings;
  rankings.reserve(groups.groups.size());
  for (const nn::UnitGroup& group : groups.groups) rankings.push_back(rank(group, score));
  return rankings;
}

class Chooser {
 public:
  Chooser(const nn::UnitGroups& groups, std::span<const double> score, const Cost& cost, double budget)
      : groups_(groups), rankings_(rank_all(groups, score)), cost_(cost), budget_(budget) {}

  std::vector<int> choose(std::vector<int> widths) {
    widths_ = std::move(widths);
    now_ = cost_(widths_);
    while (now_ > budget_ && narrow()) {
    }
    if (now_ > budget_) {  // no group alone makes it cheaper
      std::vector<int> cheapest = cheapest_widths(groups_, cost_);
      if (const double least = cost_(cheapest); least < now_) {
        widths_ = std::move(cheapest);
        now_ = least;
      }
    }
    while (widen()) {
    }
    return widths_;
  }

 private:
  struct Step {
    size_t group = 0;
    int width = 0;  // 0: none
    double worth = 0, cost = 0;
  };

  // The best of all steps to a width in [first(group), last(group)].
  template <class First, class Last, class Better>
  Step best_step(First first, Last last, Better better) {
    Step best;
    for (size_t g = 0; g < widths_.size(); ++g) {
      const int width = widths_[g];
      const std::vector<double>& worth = rankings_[g].worth;
      const int end = last(g);  // before widths_ changes
      for (int w = first(g); w <= end; ++w) {
        widths_[g] = w;
        const Step step{g, w, worth[static_cast<size_t>(w)] - worth[static_cast<size_t>(width)], cost_(widths_) - now_};
        if (better(step, best)) best = step;
      }
      widths_[g] = width;
    }
    return best;
  }

  bool take(const Step& step) {
    if (step.width == 0) return false;
    widths_[step.group] = step.width;
    now_ = cost_(widths_);
    return true;
  }

  bool narrow() {
    return take(best_step([](size_t) { return 1; }, [&](size_t g) { return widths_[g] - 1; },
                          [](const Step& step, const Step& best) {
                            if (step.cost >= 0) return false;
                            return best.width == 0 || step.worth * best.cost < best.worth * step.cost;
                          }));
  }

  bool widen() {
    return take(best_step([&](size_t g) { return widths_[g] + 1; }, [&](size_t g) { return groups_.groups[g].count; },
                          [&](const Step& step, const Step& best) {
                            if (now_ + step.cost > budget_ || step.worth < 0) return false;
                            if (best.width == 0) return true;
                            if (step.cost <= 0 || best.cost <= 0)
                              return step.cost <= 0 && (best.cost > 0 || step.worth > best.worth);
                            return step.worth * best.cost > best.worth * step.cost;
                          }));
  }

  const nn::UnitGroups& groups_;
  const std::vector<Ranking> rankings_;
  const Cost& cost_;
  const double budget_;
  std::vector<int> widths_;
  double now_ = 0;
};

}  // namespace

Keep best_units(const nn::UnitGroups& groups, std::span<const double> score, std::span<const int> widths) {
  Keep keep;
  keep.units.reserve(widths.size());
  for (size_t g = 0; g < widths.size(); ++g) {
    std::vector<int> units = rank(groups.groups[g], score).units;
    units.resize(static_cast<size_t>(widths[g]));
    std::sort(units.begin(), units.end());
    keep.units.push_back(std::move(units));
  }
  return keep;
}

std::vector<int> cheapest_widths(const nn::UnitGroups& groups, const Cost& cost) {
  std::vector<int> widths(groups.groups.size(), 1);
  double least = cost(widths);
  for (bool changed = true; changed;) {
    changed = false;
    for (size_t g = 0; g < widths.size(); ++g) {
      int best = widths[g];
      for (int w = 1; w <= std::min(kCheapSteps, groups.groups[g].count); ++w) {
        widths[g] = w;
        const double now = cost(widths);
        if (now >= least) continue;
        least = now;
        best = w;
        changed = true;
      }
      widths[g] = best;
    }
  }
  return widths;
}

Keep choose_under_budget(const nn::UnitGroups& groups, std::span<const double> score, const Cost& cost, double budget,
                         std::span<const int> from) {
  std::vector<int> widths(from.begin(), from.end());
  if (widths.empty()) widths = nn::group_counts(groups);
  return best_units(groups, score, Chooser(groups, score, cost, budget).choose(std::move(widths)));
}

}  // namespace fdi::compress
