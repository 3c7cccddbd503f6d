// Optimizer: one update of all weights from all gradients, both flat. PyTorch's formulas (torch.optim, 1.13), so that
// a recipe found there holds here. Called by Trainer; its state goes into checkpoints.
#pragma once
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <vector>

namespace fdi::nn {

struct OptimizerConfig {
  std::string kind = "sgd";    // sgd, adam, rmsprop
  double weight_decay = 5e-4;  // L2: weight_decay * w is added to the gradient, of every weight alike
  double momentum = 0.9;       // sgd, rmsprop
  bool nesterov = true;        // sgd
  double beta1 = 0.9;          // adam: decay of the mean of gradients
  double beta2 = 0.999;        // adam: decay of the mean of squares
  double alpha = 0.99;         // rmsprop: decay of the mean of squares
  double epsilon = 1e-8;       // adam, rmsprop: added to the root
};

// A kind's usual settings: torch.optim's own, but momentum 0.9 and Nesterov for sgd. Throws Error for an unknown kind.
OptimizerConfig default_optimizer(const std::string& kind);
nlohmann::json optimizer_to_json(const OptimizerConfig& config);  // only the keys that the kind reads
OptimizerConfig optimizer_from_json(const nlohmann::json& json);

class Optimizer {
 public:
  // Throws Error for a config out of range. `size`: number of trainable floats.
  Optimizer(const OptimizerConfig& config, int64_t size);

  // One step; allocates nothing; the result does not depend on the number of threads. `momentum` replaces the config's
  // momentum (adam: beta1) where a schedule cycles it.
  void step(std::span<float> weight, std::span<const float> grad, double lr, double momentum) noexcept;
  double momentum() const { return config_.kind == "adam" ? config_.beta1 : config_.momentum; }

  struct State {
    const char* name;  // "momentum", "mean", "mean_square"
    std::span<float> values;
  };
  std::vector<State> state();  // each as long as the weights
  int64_t steps() const { return steps_; }
  void set_steps(int64_t steps) { steps_ = steps; }  // after a checkpoint's state has been copied into state()

 private:
  OptimizerConfig config_;
  std::vector<float> first_, second_;
  int64_t steps_ = 0;
};

}  // namespace fdi::nn
