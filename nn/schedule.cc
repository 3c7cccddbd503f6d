// The schedules' formulas, see schedule.h.
#include "nn/schedule.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numbers>

#include "core/error.h"

namespace fdi::nn {
namespace {

// From a at 0 to b at 1 along half a cosine.
double anneal(double a, double b, double part) { return b + (a - b) / 2 * (1 + std::cos(std::numbers::pi * part)); }

Rates one_cycle(const ScheduleConfig& c, double lr, double momentum, double step, double total) {
  const double low = lr / c.div_factor, end = low / c.final_div_factor;
  const double high_momentum = c.cycle_momentum ? c.max_momentum : momentum;
  const double low_momentum = c.cycle_momentum ? c.base_momentum : momentum;
  const double top = c.pct_start * total - 1, last = total - 1;  // step numbers where the two phases end
  if (step <= top) {
    const double part = top > 0 ? step / top : 1;
    return {anneal(low, lr, part), anneal(high_momentum, low_momentum, part)};
  }
  const double part = last > top ? (step - top) / (last - top) : 1;
  return {anneal(lr, end, part), anneal(low_momentum, high_momentum, part)};
}

}  // namespace

nlohmann::json schedule_to_json(const ScheduleConfig& c) {
  nlohmann::json json = {{"kind", c.kind}};
  if (c.kind == "one-cycle") {
    json["pct_start"] = c.pct_start;
    json["div_factor"] = c.div_factor;
    json["final_div_factor"] = c.final_div_factor;
    json["cycle_momentum"] = c.cycle_momentum;
    if (c.cycle_momentum) json["base_momentum"] = c.base_momentum, json["max_momentum"] = c.max_momentum;
  } else {
    json["warm_up_epochs"] = c.warm_up_epochs;
    if (c.kind == "step") json["step_epochs"] = c.step_epochs, json["gamma"] = c.gamma;
  }
  return json;
}

ScheduleConfig schedule_from_json(const nlohmann::json& json) {
  ScheduleConfig c;
  c.kind = json.value("kind", c.kind);
  c.warm_up_epochs = json.value("warm_up_epochs", c.warm_up_epochs);
  c.step_epochs = json.value("step_epochs", c.step_epochs);
  c.gamma = json.value("gamma", c.gamma);
  c.pct_start = json.value("pct_start", c.pct_start);
  c.div_factor = json.value("div_factor", c.div_factor);
  c.final_div_factor = json.value("final_div_factor", c.final_div_factor);
  c.cycle_momentum = json.value("cycle_momentum", c.cycle_momentum);
  c.base_momentum = json.value("base_momentum", c.base_momentum);
  c.max_momentum = json.value("max_momentum", c.max_momentum);
  check_schedule(c);
  return c;
}

void check_schedule(const ScheduleConfig& c) {
  const bool known = c.kind == "constant" || c.kind == "step" || c.kind == "cosine" || c.kind == "one-cycle";
  if (!known) core::fail("schedule '{}': wanted constant, step, cosine or one-cycle", c.kind);
  // NaN holds for no comparison, so each says what is right, not what is wrong.
  const auto want = [](bool right, const char* name, double value, const char* wanted) {
    if (!right) core::fail("schedule: {} is {}; wanted {}", name, value, wanted);
  };
  const auto positive = [&](const char* name, double value) {
    want(value > 0 && std::isfinite(value), name, value, "more than 0");
  };
  want(c.warm_up_epochs >= 0 && std::isfinite(c.warm_up_epochs), "warm_up_epochs", c.warm_up_epochs, "0 or more");
  if (c.warm_up_epochs > 0 && c.kind == "one-cycle")
    core::fail("schedule one-cycle warms up by itself; leave warm_up_epochs at 0");
  positive("step_epochs", c.step_epochs);
  want(c.gamma > 0 && c.gamma <= 1, "gamma", c.gamma, "more than 0, at most 1");
  want(c.pct_start >= 0 && c.pct_start <= 1, "pct_start", c.pct_start, "0 to 1");
  positive("div_factor", c.div_factor);
  positive("final_div_factor", c.final_div_factor);
  want(c.base_momentum >= 0 && c.base_momentum < 1, "base_momentum", c.base_momentum, "0 to below 1");
  want(c.max_momentum >= 0 && c.max_momentum < 1, "max_momentum", c.max_momentum, "0 to below 1");
}

Rates rates_at(const ScheduleConfig& c, double lr, double momentum, int64_t step, int64_t steps_per_epoch, int epochs) {
  const auto per_epoch = static_cast<double>(steps_per_epoch);
  const auto total = per_epoch * epochs, now = static_cast<double>(step);
  if (c.kind == "one-cycle") return one_cycle(c, lr, momentum, now, total);
  const double warm_up = std::min(std::round(c.warm_up_epochs * per_epoch), total);
  if (now < warm_up) return {lr * (now + 1) / (warm_up + 1), momentum};
  const double done = now - warm_up, rest = total - warm_up;
  if (c.kind == "step") return {lr * std::pow(c.gamma, std::floor(done / (c.step_epochs * per_epoch))), momentum};
  if (c.kind == "cosine") return {anneal(lr, 0, done / rest), momentum};  // CosineAnnealingLR, T_max = rest
  return {lr, momentum};
}

}  // namespace fdi::nn
