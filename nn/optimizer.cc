// The three update rules. w weight, g gradient, lr learning rate, wd weight decay; d = g + wd * w in all of them.
// Scalars are computed in double and rounded once, as PyTorch does for float tensors.
#include "nn/optimizer.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "core/check.h"
#include "core/error.h"
#include "core/threads.h"

namespace fdi::nn {
namespace {

// v = momentum * v + d;  w -= lr * (nesterov ? d + momentum * v : v)
void sgd(int64_t n, float* w, const float* g, float* v, float lr, float wd, float momentum, bool nesterov) {
#pragma omp parallel for simd schedule(static) num_threads(core::threads())
  for (int64_t i = 0; i < n; ++i) {
    const float d = g[i] + wd * w[i];
    const float velocity = momentum * v[i] + d;
    v[i] = velocity;
    w[i] -= lr * (nesterov ? d + momentum * velocity : velocity);
  }
}

// m = b1 * m + (1 - b1) * d;  s = b2 * s + (1 - b2) * d * d;
// w -= lr / (1 - b1^t) * m / (sqrt(s) / sqrt(1 - b2^t) + eps), t counted from 1
void adam(int64_t n, float* w, const float* g, float* m, float* s, double lr, float wd, double b1, double b2, float eps,
          int64_t t) {
  const auto rate = static_cast<float>(lr / (1 - std::pow(b1, static_cast<double>(t))));
  const auto root = static_cast<float>(std::sqrt(1 - std::pow(b2, static_cast<double>(t))));
  const auto keep1 = static_cast<float>(b1), keep2 = static_cast<float>(b2);
  const auto take1 = static_cast<float>(1 - b1), take2 = static_cast<float>(1 - b2);
#pragma omp parallel for simd schedule(static) num_threads(core::threads())
  for (int64_t i = 0; i < n; ++i) {
    const float d = g[i] + wd * w[i];
    const float mean = keep1 * m[i] + take1 * d;
    const float square = keep2 * s[i] + take2 * d * d;
    m[i] = mean;
    s[i] = square;
    w[i] -= rate * (mean / (std::sqrt(square) / root + eps));
  }
}

// s = alpha * s + (1 - alpha) * d * d;  v = momentum * v + d / (sqrt(s) + eps);  w -= lr * v
void rmsprop(int64_t n, float* w, const float* g, float* v, float* s, float lr, float wd, float momentum, double alpha,
             float eps) {
  const auto keep = static_cast<float>(alpha), take = static_cast<float>(1 - alpha);
#pragma omp parallel for simd schedule(static) num_threads(core::threads())
  for (int64_t i = 0; i < n; ++i) {
    const float d = g[i] + wd * w[i];
    const float square = keep * s[i] + take * d * d;
    const float velocity = momentum * v[i] + d / (std::sqrt(square) + eps);
    s[i] = square;
    v[i] = velocity;
    w[i] -= lr * velocity;
  }
}

void check_range(const char* what, double value, bool ok, const char* want) {
  if (!ok) core::fail("optimizer: {} is {}; wanted {}", what, value, want);
}

}  // namespace

OptimizerConfig default_optimizer(const std::string& kind) {
  OptimizerConfig config;
  config.kind = kind;
  if (kind == "sgd") return config;
  config.weight_decay = 0;
  config.nesterov = false;
  if (kind == "rmsprop") config.momentum = 0;
  if (kind != "adam" && kind != "rmsprop") core::fail("optimizer '{}': wanted sgd, adam or rmsprop", kind);
  return config;
}

nlohmann::json optimizer_to_json(const OptimizerConfig& c) {
  nlohmann::json json = {{"kind", c.kind}, {"weight_decay", c.weight_decay}};
  if (c.kind != "adam") json["momentum"] = c.momentum;
  if (c.kind == "sgd") json["nesterov"] = c.nesterov;
  if (c.kind == "adam") json["beta1"] = c.beta1, json["beta2"] = c.beta2;
  if (c.kind == "rmsprop") json["alpha"] = c.alpha;
  if (c.kind != "sgd") json["epsilon"] = c.epsilon;
  return json;
}

OptimizerConfig optimizer_from_json(const nlohmann::json& json) {
  OptimizerConfig c = default_optimizer(json.value("kind", std::string("sgd")));
  c.weight_decay = json.value("weight_decay", c.weight_decay);
  c.momentum = json.value("momentum", c.momentum);
  c.nesterov = json.value("nesterov", c.nesterov);
  c.beta1 = json.value("beta1", c.beta1);
  c.beta2 = json.value("beta2", c.beta2);
  c.alpha = json.value("alpha", c.alpha);
  c.epsilon = json.value("epsilon", c.epsilon);
  return c;
}

Optimizer::Optimizer(const OptimizerConfig& config, int64_t size) : config_(config), first_(static_cast<size_t>(size)) {
  default_optimizer(config.kind);  // refuses an unknown kind
  const auto fraction = [](double x) { return x >= 0 && x < 1; };
  check_range("weight_decay", config.weight_decay, config.weight_decay >= 0, "0 or more");
  check_range("momentum", config.momentum, fraction(config.momentum), "0 <= momentum < 1");
  check_range("beta1", config.beta1, fraction(config.beta1), "0 <= beta1 < 1");
  check_range("beta2", config.beta2, fraction(config.beta2), "0 <= beta2 < 1");
  check_range("alpha", config.alpha, fraction(config.alpha), "0 <= alpha < 1");
  check_range("epsilon", config.epsilon, config.epsilon > 0, "more than 0");
  if (config.kind != "sgd") second_.resize(static_cast<size_t>(size));
}

void Optimizer::step(std::span<float> weight, std::span<const float> grad, double lr, double momentum) noexcept {
  CHECK(weight.size() == first_.size() && grad.size() == first_.size());
  ++steps_;
  const auto n = static_cast<int64_t>(weight.size());
  const auto rate = static_cast<float>(lr), wd = static_cast<float>(config_.weight_decay);
  const auto mu = static_cast<float>(momentum), eps = static_cast<float>(config_.epsilon);
  if (config_.kind == "sgd") {
    sgd(n, weight.data(), grad.data(), first_.data(), rate, wd, mu, config_.nesterov);
  } else if (config_.kind == "adam") {
    adam(n, weight.data(), grad.data(), first_.data(), second_.data(), lr, wd, momentum, config_.beta2, eps, steps_);
  } else {
    rmsprop(n, weight.data(), grad.data(), first_.data(), second_.data(), rate, wd, mu, config_.alpha, eps);
  }
}

std::vector<Optimizer::State> Optimizer::state() {
  if (config_.kind == "sgd") return {{"momentum", first_}};
  return {{config_.kind == "adam" ? "mean" : "momentum", first_}, {"mean_square", second_}};
}

}  // namespace fdi::nn
