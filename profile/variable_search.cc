#include "profile/variable_search.h"

#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <limits>

#include "profile/joined_fit.h"
#include "profile/variable_columns.h"

namespace fdi::profile {
namespace {

using nn::Op;

constexpr std::array kSteps = {2, 3, 4, 6, 8, 12, 14, 16, 24, 32, 48, 64};
constexpr size_t kMaxSearched = 12;
constexpr size_t kMostTelling = 17;              // of what several searches found
constexpr size_t kPool = Gram::kMaxColumns - 3;  // beside a newcomer, the bias and the target
constexpr int kRounds = 3;                       // of refinement at the end
constexpr double kExplained = 1e-10;             // share of the error that is rounding: all is explained
constexpr double kGain = 0.02;                   // share of the error that a variable must take away
constexpr double kQualifierGain = 0.02;  // share that a step or a bound must take away, else the plain field stays

struct Candidate {
  Variable variable;
  Column column;
};

int qualifiers(const Variable& variable) {
  int count = variable.gate.always() ? 0 : 1;
  for (const int step : variable.granularity.step) count += step > 1 ? 1 : 0;
  return count;
}

class Search {
 public:
  Search(Op op, std::span<const Observation> data, Weighting weighting, FitCost& cost)
      : op_(op), cost_(cost), columns_(data, weighting), fit_(cost) {
    sums_(kBias, kBias) = dot(columns_.scale(), columns_.scale());
    sums_(kTarget, kTarget) = dot(columns_.target(), columns_.target());
    sums_(kBias, kTarget) = sums_(kTarget, kBias) = dot(columns_.scale(), columns_.target());
  }

  Found run(bool eager) {
    std::vector<Candidate> candidates;
    for (const Field field : candidate_fields(op_)) {
      const Variable plain{.field = field};
      candidates.push_back(candidate(plain));
      for (const Variable& v : changed_steps(plain)) candidates.push_back(candidate(v));
      for (const Variable& v : changed_places(plain)) candidates.push_back(candidate(v));
    }
    // Among m meaningless variables the best one takes about 2 ln(m) / n of the error away.
    const double chance =
        2 * std::log(static_cast<double>(candidates.size())) / static_cast<double>(columns_.scale().size());
    const double sure = std::max(kGain, chance);
    if (!eager) gain_ = sure;
    Found found;
    double error = error_without(chosen_.size());
    const double explained = error * kExplained;
    while (chosen_.size() < kMaxSearched && error > explained) {
      const Candidate* best = nullptr;
      double least = std::numeric_limits<double>::max();
      for (const Candidate& c : candidates) {
        const double e = priced_error(c, chosen_.size(), least);
        if (e < least) {
          least = e;
          best = &c;
        }
      }
      const double with_best = best == nullptr ? error : error_with(*best, chosen_.size());
      if (with_best > error * (1 - sure) && found.sure.empty()) found.sure = chosen();
      if (with_best > error * (1 - gain_)) break;
      put(chosen_.size(), *best);
      refine(1);
      const double after = drop_useless();
      if (after >= error) break;  // what came in went out again
      error = after;
    }
    refine(kRounds);
    drop_useless();
    found.eager = chosen();
    if (found.sure.empty()) found.sure = found.eager;
    return found;
  }

  std::vector<Variable> most_telling(std::span<const Found> found) {
    for (const Found& part : found)
      for (const Variable& v : part.eager)
        if (chosen_.size() < kPool && !is_chosen(v)) put(chosen_.size(), candidate(v));
    while (chosen_.size() > kMostTelling) drop_one(std::numeric_limits<double>::max());
    drop_useless();
    return chosen();
  }

 private:
  std::vector<Variable> chosen() const {
    std::vector<Variable> variables;
    for (const Candidate& c : chosen_) variables.push_back(c.variable);
    return variables;
  }

  Candidate candidate(const Variable& variable) { return {variable, columns_.of(variable)}; }

  // The variable with one axis in other steps, or counted elsewhere.
  std::vector<Variable> changed_steps(const Variable& from) const {
    std::vector<Variable> out;
    for (const Axis axis : rounded_axes(op_, from.field))
      for (const int step : kSteps) {
        Variable v = from;
        v.granularity[axis] = step;
        if (v.granularity[axis] != from.granularity[axis]) out.push_back(v);
      }
    return out;
  }
  std::vector<Variable> changed_places(const Variable& from) const {
    std::vector<Variable> out;
    for (const Gate& gate : columns_.gates()) {
      Variable v = from;
      v.gate = gate;
      if (!(v == from)) out.push_back(v);
    }
    return out;
  }
  static std::vector<Variable> simpler(const Variable& from) {
    std::vector<Variable> out;
    for (size_t i = 0; i < kAxes; ++i)
      if (from.granularity.step[i] > 1) {
        out.push_back(from);
        out.back().granularity.step[i] = 1;
      }
    if (!from.gate.always()) {
      out.push_back(from);
      out.back().gate = {};
    }
    return out;
  }

  // Squared error of the best law on the chosen variables with the one at `place` left out, or (at the end) all.
  double error_without(size_t place) {
    companions(place);
    return fit_.alone();
  }
  // The same with `other` in that place, or joined at the end. What is no less than `wanted` may be told too low.
  double error_with(const Candidate& other, size_t place, double wanted = std::numeric_limits<double>::max()) {
    companions(place);
    products_.resize(others_.size() + 1);
    products_[0] = dot(other.column, other.column);
    for (size_t i = 0; i < others_.size(); ++i) products_[i + 1] = dot(other.column, column(others_[i]));
    return fit_.with(products_, wanted);
  }
  double priced_error(const Candidate& other, size_t place, double wanted = std::numeric_limits<double>::max()) {
    const double price = 1 + kQualifierGain * qualifiers(other.variable);
    return error_with(other, place, wanted / price) * price;
  }
  // The same for many candidates in a row.
  void companions(size_t place) {
    place = std::min(place, chosen_.size());
    if (!stale_ && place == place_) return;
    stale_ = false;
    place_ = place;
    others_.clear();
    for (int i = 0; i < static_cast<int>(chosen_.size()); ++i)
      if (i != static_cast<int>(place)) others_.push_back(i + kFirst);
    others_.push_back(kBias);
    others_.push_back(kTarget);
    Gram gram(static_cast<int>(others_.size()) + 1);  // column 0 is the candidate's
    for (int i = 0; i + 1 < gram.columns(); ++i)
      for (int j = 0; j <= i; ++j) gram.set(i + 1, j + 1, sums_(others_[i], others_[j]));
    fit_.set_companions(gram);
  }
  const Column& column(int place) const {
    return place == kBias ? columns_.scale() : place == kTarget ? columns_.target() : chosen_[place - kFirst].column;
  }
  // Into this place, or behind the last one.
  void put(size_t place, Candidate candidate) {
    if (place == chosen_.size()) chosen_.emplace_back();
    chosen_[place] = std::move(candidate);
    stale_ = true;
    const int at = static_cast<int>(place) + kFirst;
    for (int i = 0; i < static_cast<int>(chosen_.size()) + kFirst; ++i)
      sums_(at, i) = sums_(i, at) = dot(column(at), column(i));
  }
  void take_out(size_t place) {
    chosen_.erase(chosen_.begin() + static_cast<ptrdiff_t>(place));
    stale_ = true;
    const Eigen::Index at = static_cast<Eigen::Index>(place) + kFirst, behind = sums_.rows() - at - 1;
    sums_.middleRows(at, behind) = sums_.bottomRows(behind).eval();
    sums_.middleCols(at, behind) = sums_.rightCols(behind).eval();
  }
  double dot(const Column& a, const Column& b) {
    ++cost_.products;
    const auto n = static_cast<Eigen::Index>(a.size());
    return Eigen::Map<const Eigen::VectorXd>(a.data(), n).dot(Eigen::Map<const Eigen::VectorXd>(b.data(), n));
  }

  bool is_chosen(const Variable& variable) const {
    return std::any_of(chosen_.begin(), chosen_.end(), [&](const Candidate& c) { return c.variable == variable; });
  }

  // Each chosen variable's steps and bound tried anew beside the others, until nothing improves.
  void refine(int rounds) {
    for (int round = 0; round < rounds; ++round) {
      bool changed = false;
      for (size_t place = 0; place < chosen_.size(); ++place) {
        const Variable from = chosen_[place].variable;
        double least = priced_error(chosen_[place], place);
        std::vector<Variable> tries = simpler(from);
        for (const auto& more : {changed_steps(from), changed_places(from)})
          tries.insert(tries.end(), more.begin(), more.end());
        for (const Variable& v : tries) {
          if (is_chosen(v)) continue;
          Candidate c = candidate(v);
          const double wanted = least * (1 - 1e-4), e = priced_error(c, place, wanted);
          if (e >= wanted) continue;
          least = e;
          put(place, std::move(c));
          changed = true;
        }
      }
      if (!changed) break;
    }
  }

  // Takes out the variable that is missed least, if the error is then no more than `most`.
  bool drop_one(double most) {
    size_t place = chosen_.size();
    for (size_t i = 0; i < chosen_.size(); ++i)
      if (const double without = error_without(i); without <= most) {
        most = without;
        place = i;
      }
    if (place == chosen_.size()) return false;
    take_out(place);
    return true;
  }
  // One at a time, while it is missed by less than a gain; the error that is left.
  double drop_useless() {
    for (;;) {
      const double error = error_without(chosen_.size());
      if (!drop_one(error / (1 - gain_ / 2))) return error;
    }
  }

  static constexpr int kBias = 0, kTarget = 1, kFirst = 2;  // places in the sums; those chosen follow

  const Op op_;
  FitCost& cost_;
  Columns columns_;
  Eigen::MatrixXd sums_{kPool + kFirst, kPool + kFirst};  // of products of the bias, the target and those chosen
  std::vector<int> others_;                               // the companions' places, the bias and the target
  size_t place_ = 0;                                      // that they leave out
  bool stale_ = true;                                     // a chosen variable changed
  std::vector<double> products_;
  JoinedFit fit_;
  std::vector<Candidate> chosen_;
  double gain_ = kGain;
};

}  // namespace

std::vector<Variable> learn_variables(Op op, std::span<const Observation> observations, Weighting weighting,
                                      FitCost& cost) {
  return Search(op, observations, weighting, cost).run(false).eager;
}

Found learn_eagerly(Op op, std::span<const Observation> observations, Weighting weighting, FitCost& cost) {
  return Search(op, observations, weighting, cost).run(true);
}

std::vector<Variable> most_telling(Op op, std::span<const Found> found, std::span<const Observation> observations,
                                   Weighting weighting, FitCost& cost) {
  return Search(op, observations, weighting, cost).most_telling(found);
}

}  // namespace fdi::profile
