// See distill.h. A few exponentials per class beside a network's pass: in double, on one thread.
#include "nn/distill.h"

#include <algorithm>
#include <cmath>

#include "core/check.h"
#include "core/error.h"
#include "nn/fuse.h"
#include "nn/model_file.h"

namespace fdi::nn {
namespace {

// x - log(sum(exp(x))) of the softened logits x = logits / T.
struct LogSoftmax {
  LogSoftmax(const float* from, int classes, double temperature) : logits(from), inverse(1 / temperature) {
    const double top = *std::max_element(logits, logits + classes);
    double sum = 0;
    for (int c = 0; c < classes; ++c) sum += std::exp((logits[c] - top) * inverse);
    log_sum = top * inverse + std::log(sum);
  }
  double operator()(int c) const { return logits[c] * inverse - log_sum; }
  const float* logits;
  double inverse, log_sum = 0;
};

Network inference_network(const Model& model, int batch) {
  FoldedNetwork folded = inference_graph(model.spec, model.parameters);
  return {folded.spec, folded.parameters, batch, Mode::kInference};
}

}  // namespace

double mix_distillation(const DistillConfig& config, core::ConstTensor teacher, core::ConstTensor student,
                        double cross_entropy, float* dlogits) {
  DCHECK(teacher.shape == student.shape);
  const int batch = student.shape[0], classes = student.shape[1];
  const double t = config.temperature;
  double divergence = 0;
  for (int b = 0; b < batch; ++b) {
    const int64_t at = int64_t{b} * classes;
    const LogSoftmax taught(teacher.data + at, classes, t), learnt(student.data + at, classes, t);
    for (int c = 0; c < classes; ++c) {
      const double p = std::exp(taught(c)), q = std::exp(learnt(c));
      if (p > 0) divergence += p * (taught(c) - learnt(c)) / batch;
      // d(T^2 KL) / d logit: one T goes with the logit's own division by T.
      dlogits[at + c] = static_cast<float>((1 - config.weight) * dlogits[at + c] + config.weight * t * (q - p) / batch);
    }
  }
  return (1 - config.weight) * cross_entropy + config.weight * t * t * divergence;
}

Teacher::Teacher(const DistillConfig& config, const Model& model, int batch, const core::Shape& outputs)
    : config_(config), network_(inference_network(model, batch)) {
  const core::Shape own = output_shapes(model.spec).back();
  if (own != outputs)
    core::fail(
        "distillation: network {} to learn from has outputs {}, the one that learns {}; take one that was "
        "trained on the same classes",
        model.spec.name, core::to_string(own), core::to_string(outputs));
}

double Teacher::mix(const Batch& batch, core::ConstTensor student, double cross_entropy, float* dlogits) {
  Pass pass;
  pass.batch = batch.size;
  pass.lengths = batch.lengths;
  std::copy_n(batch.images, batch.size * network_.spec().input.size(), network_.input().data);
  const Tensor said = network_.forward(pass);
  return mix_distillation(config_, {said.data, said.shape}, student, cross_entropy, dlogits);
}

}  // namespace fdi::nn
