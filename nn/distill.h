// Distillation (Hinton et al. 2015, Distilling the Knowledge in a Neural Network): a network learns the labels and,
// with softened outputs, what a trained network says of the same examples. Called by Trainer where its config asks for
// it.
#pragma once
#include <vector>

#include "nn/batch_source.h"
#include "nn/network.h"

namespace fdi::nn {

struct Model;

struct DistillConfig {
  double weight = 0;       // 0: none; 1: the labels do not count
  double temperature = 4;  // logits are divided by it before the softmax
};

// (1 - weight) * cross_entropy + weight * T^2 * KL(softmax(teacher / T) || softmax(student / T)), mean over the batch.
// dlogits (batch, classes): the gradient of the cross entropy, replaced by that of the result. Allocates nothing.
double mix_distillation(const DistillConfig& config, core::ConstTensor teacher, core::ConstTensor student,
                        double cross_entropy, float* dlogits);

// The trained network, as inference runs it.
class Teacher {
 public:
  // Copies what it needs of the model. Throws Error where its outputs are not those of a network with `outputs`.
  Teacher(const DistillConfig& config, const Model& model, int batch, const core::Shape& outputs);
  // mix_distillation of the batch that the student has just seen. Allocates nothing.
  double mix(const Batch& batch, core::ConstTensor student, double cross_entropy, float* dlogits);

 private:
  DistillConfig config_;
  Network network_;
};

}  // namespace fdi::nn
