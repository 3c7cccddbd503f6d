// One pass without gradients, see evaluate.h.
#include "nn/evaluate.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "nn/fuse.h"
#include "nn/loss.h"

namespace fdi::nn {

Evaluation evaluate(const NetworkSpec& spec, const Parameters& parameters, int batch, BatchSource& source,
                    core::Progress* progress) {
  FoldedNetwork folded = inference_graph(spec, parameters);
  Network network(folded.spec, folded.parameters, batch, Mode::kInference);
  Evaluation result;
  result.classes = static_cast<int>(output_shapes(spec).back().size());
  result.confusion.resize(static_cast<size_t>(result.classes) * static_cast<size_t>(result.classes));
  SoftmaxLoss loss(batch, result.classes);
  double loss_sum = 0;
  source.start(1);
  for (Batch b; source.next(b);) {
    Pass pass;
    pass.batch = b.size;
    pass.lengths = b.lengths;
    std::copy_n(b.images, b.size * spec.input.size(), network.input().data);
    const Tensor logits = network.forward(pass);
    const LossResult r = loss.evaluate(logits, b.labels);
    loss_sum += r.loss * b.size;
    result.correct += r.correct;
    result.correct_top5 += r.correct_top5;
    result.examples += b.size;
    for (int i = 0; i < b.size; ++i) {
      const int predicted =
          predicted_class({logits.data + int64_t{i} * result.classes, static_cast<size_t>(result.classes)});
      if (predicted < 0) continue;
      ++result.confusion[static_cast<size_t>(b.labels[i]) * static_cast<size_t>(result.classes) +
                         static_cast<size_t>(predicted)];
    }
    if (progress != nullptr)
      progress->update(fmt::format("evaluating {}/{}  accuracy {:.2f}%", result.examples, source.examples(),
                                   100 * result.accuracy()));
  }
  // The loss is never below 0; abs takes the sign off a NaN, which nobody wants to read.
  result.loss = result.examples > 0 ? std::abs(loss_sum) / static_cast<double>(result.examples) : 0;
  return result;
}

}  // namespace fdi::nn
