#include "compress/budget.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/error.h"
#include "profile/time_model.h"

namespace fdi::compress {
namespace {

constexpr int kAllDigits = 18;  // of a percentage 17: two doubles that differ then read differently

// "conv1_1 0.061 ms, conv1_2 0.060 ms": the layers that take most of the time, up to four fifths of it.
std::string slowest_layers(const profile::TimeModel& model, const nn::NetworkSpec& spec) {
  profile::NetworkPrediction prediction = profile::predict_network(model, spec);
  std::ranges::stable_sort(prediction.layers,
                           [](const auto& a, const auto& b) { return a.prediction.us > b.prediction.us; });
  constexpr size_t kMost = 5;
  constexpr double kShare = 0.8;
  std::string text;
  double us = 0;
  for (size_t i = 0; i < std::min(kMost, prediction.layers.size()) && us < kShare * prediction.total_us; ++i) {
    const auto& [name, layer] = prediction.layers[i];
    text += fmt::format("{}{} {:.4g} ms", text.empty() ? "" : ", ", name, layer.us / 1000);
    us += layer.us;
  }
  return text;
}

void check_reachable(const Limit& limit, const nn::NetworkSpec& spec, const nn::UnitGroups& groups,
                     const profile::TimeModel* model) {
  const std::vector<int> widths = cheapest_widths(groups, limit.what.cost);
  const double least = limit.what.cost(widths);
  if (least <= limit.most) return;
  const int digits = telling_digits(limit.what, least, limit.most);
  const bool ones = std::ranges::all_of(widths, [](int w) { return w == 1; });
  std::string why =
      ones ? "one unit in every layer that may lose some" : "in every layer one unit, or the few that cost less";
  if (limit.what.name == "time")
    why += "; most of it: " + slowest_layers(*model, nn::with_widths(spec, groups, widths));
  core::fail(
      "the budget of {} is below the least that this network can come to, {} ({}); give a larger budget, or take "
      "a network of fewer layers",
      amount(limit.what, limit.most, digits), amount(limit.what, least, digits), why);
}

}  // namespace

std::string amount(const Objective& what, double value, int digits) {
  return what.name == "size" ? fmt::format("{:.{}g}% of the parameters", 100 * value, digits - 1)
                             : fmt::format("{:.{}g} {} of {}", value, digits, what.unit, what.name);
}

int telling_digits(const Objective& what, double a, double b) {
  int digits = kAmountDigits;
  while (digits < kAllDigits && amount(what, a, digits) == amount(what, b, digits)) ++digits;
  return digits;
}

std::string kept_already(const std::vector<Limit>& limits, const nn::UnitGroups& groups) {
  const std::vector<int> whole = nn::group_counts(groups);
  if (largest_share(limits)(whole) > 1) return "";
  std::string what;
  for (const Limit& l : limits)
    what += fmt::format("{}{}, the budget {}", what.empty() ? "" : "; ", amount(l.what, l.what.cost(whole)),
                        amount(l.what, l.most));
  return what;
}

void check_budgets(const std::vector<Limit>& limits, const nn::NetworkSpec& spec, const nn::UnitGroups& groups,
                   const profile::TimeModel* model) {
  for (const Limit& limit : limits) check_reachable(limit, spec, groups, model);
  const Cost share = largest_share(limits);
  if (share(cheapest_widths(groups, share)) > 1)
    core::fail("each of the budgets can be met, but not all of them together; give a larger one of them");
}

}  // namespace fdi::compress
