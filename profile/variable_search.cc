#include "profile/variable_search.h"

#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <limits>

#include "profile/joined_fit.h"

namespace fdi::profile {
namespace {

using nn::Op;
using Column = std::vector<double>;

constexpr std::array kSteps = {2, 3, 4, 6, 8, 12, 14, 16, 24, 32, 48, 64};
constexpr std::array kVectors = {4, 8, 16};  // of outputs, the last one may be partly filled
constexpr int kBounds = 12;                  // quantiles of a gate's field
constexpr size_t kMaxVariables = 12;
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
  int count = variable.above >= 0 || variable.no_multiple_of > 0 ? 1 : 0;
  for (const int step : variable.granularity.step) count += step > 1 ? 1 : 0;
  return count;
}

class Search {
 public:
  Search(Op op, std::span<const Observation> data, Weighting weighting, FitCost& cost)
      : op_(op), data_(data), cost_(cost), fit_(cost) {
    for (const Observation& o : data) {
      scale_.push_back(weighting == Weighting::kRelative ? 1 / o.us : 1);
      target_.push_back(scale_.back() * o.us);
    }
    for (const Field gate : {Field::kNetworkBytes, Field::kParamSize, Field::kInChannel, Field::kOutChannel})
      bounds_.push_back({gate, quantiles(gate)});
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
    const double chance = 2 * std::log(static_cast<double>(candidates.size())) / static_cast<double>(data_.size());
    const double sure = std::max(kGain, chance);
    if (!eager) gain_ = sure;
    Found found;
    double error = error_without(chosen_.size());
    const double explained = error * kExplained;
    while (chosen_.size() < kMaxVariables && error > explained) {
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
      chosen_.push_back(*best);
      stale_ = true;
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
        if (chosen_.size() < kPool && !is_chosen(v)) chosen_.push_back(candidate(v));
    stale_ = true;
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

  std::vector<double> quantiles(Field field) const {
    std::vector<double> values;
    for (const Observation& o : data_) values.push_back(o.structure[field]);
    std::sort(values.begin(), values.end());
    std::vector<double> bounds;
    for (int q = 1; q <= kBounds && !values.empty(); ++q) {
      const double bound = values[values.size() * q / (kBounds + 1)];
      if (bound < values.back() && bound >= values.front() && (bounds.empty() || bound > bounds.back()))
        bounds.push_back(bound);
    }
    return bounds;
  }

  Candidate candidate(const Variable& variable) const {
    Candidate c{variable, {}};
    c.column.reserve(data_.size());
    for (size_t i = 0; i < data_.size(); ++i) c.column.push_back(scale_[i] * value(variable, data_[i].structure));
    return c;
  }

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
    for (const auto& [gate, bounds] : bounds_)
      for (const double bound : bounds) {
        Variable v = from;
        v.gate = gate;
        v.above = bound;
        v.no_multiple_of = 0;
        for (const bool beyond : {false, true}) {
          v.beyond = beyond;
          if (!(v == from)) out.push_back(v);
        }
      }
    for (const int step : kVectors) {
      Variable v = from;
      v.gate = Field::kOutChannel;
      v.above = -1;
      v.beyond = false;
      v.no_multiple_of = step;
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
    if (from.above >= 0 || from.no_multiple_of > 0) {
      out.push_back(from);
      out.back().gate = Field::kNetworkBytes;
      out.back().above = -1;
      out.back().beyond = false;
      out.back().no_multiple_of = 0;
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
    products_.resize(columns_.size() + 1);
    products_[0] = dot(other.column, other.column);
    for (size_t i = 0; i < columns_.size(); ++i) products_[i + 1] = dot(other.column, *columns_[i]);
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
    columns_.clear();
    for (size_t i = 0; i < chosen_.size(); ++i)
      if (i != place) columns_.push_back(&chosen_[i].column);
    columns_.push_back(&scale_);
    columns_.push_back(&target_);
    Gram gram(static_cast<int>(columns_.size()) + 1);
    for (size_t i = 0; i < columns_.size(); ++i)
      for (size_t j = 0; j <= i; ++j) gram.set(shifted(i), shifted(j), dot(*columns_[i], *columns_[j]));
    fit_.set_companions(gram);
  }
  static int shifted(size_t i) { return static_cast<int>(i) + 1; }  // column 0 is the candidate's
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
          chosen_[place] = std::move(c);
          stale_ = true;
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
    chosen_.erase(chosen_.begin() + static_cast<ptrdiff_t>(place));
    stale_ = true;
    return true;
  }
  // One at a time, while it is missed by less than a gain; the error that is left.
  double drop_useless() {
    for (;;) {
      const double error = error_without(chosen_.size());
      if (!drop_one(error / (1 - gain_ / 2))) return error;
    }
  }

  const Op op_;
  const std::span<const Observation> data_;
  FitCost& cost_;
  std::vector<std::pair<Field, std::vector<double>>> bounds_;
  Column scale_, target_;
  std::vector<const Column*> columns_;  // of the companions, the bias and the target
  size_t place_ = 0;                    // that they leave out
  bool stale_ = true;                   // a chosen variable changed
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
