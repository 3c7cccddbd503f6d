// forward, backward and distillation take no memory from the heap: every malloc of this program is counted.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <span>
#include <string>
#include <vector>

#include "core/threads.h"
#include "nn/builder.h"
#include "nn/distill.h"
#include "nn/fuse.h"
#include "nn/model_file.h"
#include "nn/network.h"
#include "nn/zoo.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(memory_sanitizer) || __has_feature(thread_sanitizer)
#define FDI_FOREIGN_MALLOC 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(__GLIBC__) || defined(FDI_STATIC)
#define FDI_FOREIGN_MALLOC 1
#endif

namespace {
std::atomic<int64_t> allocations{0};
}

#ifndef FDI_FOREIGN_MALLOC  // a sanitizer has a malloc of its own; in a static program there is room for one
extern "C" {
void* __libc_malloc(size_t);
void* __libc_calloc(size_t, size_t);
void* __libc_realloc(void*, size_t);
void* __libc_memalign(size_t, size_t);
void* malloc(size_t n) {
  ++allocations;
  return __libc_malloc(n);
}
void* calloc(size_t n, size_t size) {
  ++allocations;
  return __libc_calloc(n, size);
}
void* realloc(void* p, size_t n) {
  ++allocations;
  return __libc_realloc(p, n);
}
void* aligned_alloc(size_t alignment, size_t n) {
  ++allocations;
  return __libc_memalign(alignment, n);
}
}
#endif

namespace fdi::nn {
namespace {

class Allocation : public ::testing::TestWithParam<std::tuple<const char*, int>> {
 protected:
  void SetUp() override {
#ifdef FDI_FOREIGN_MALLOC
    GTEST_SKIP() << "calls of a sanitizer's or a static C library's malloc cannot be counted";
#endif
    const int64_t before = allocations;
    std::free(std::malloc(1));
    ASSERT_GT(allocations, before);  // the counter counts
    threads_ = core::threads();
    core::set_threads(std::get<1>(GetParam()));
  }
  void TearDown() override {
    if (threads_ > 0) core::set_threads(threads_);
  }
  int threads_ = 0;
};

// Every layer that keeps or draws something of its own, and those that only move data.
NetworkSpec sequence_network() {
  SpecBuilder b("sequence", {6, 9});
  const int gru = b.add(Op::kGru, "gru", {.units = 17});
  const int lstm = b.add_on({gru}, Op::kLstm, "lstm", {.units = 12});
  b.add_on({gru}, Op::kGru, "gru_before", {.units = 8, .reset_after = false});
  const int cut = b.add(Op::kSlice, "cut", {.axis = 1, .begin = 1, .end = 7});
  b.add_on({lstm, cut}, Op::kConcat, "both", {.axis = 1});
  b.add(Op::kDropout, "dropout", {.rate = 0.5F});
  b.add(Op::kTimeMean, "mean");
  b.add(Op::kFc, "fc", {.units = 10});
  return b.take();
}

TEST_P(Allocation, NoneInTrainingNorInInference) {
  const std::string name = std::get<0>(GetParam());
  const bool sequence = name == "sequence";
  const NetworkSpec spec = sequence ? sequence_network() : fuse_relu(make_zoo(name, {.width = 0.25}));
  const std::vector<int> lengths{6, 2, 0, 5, 1, 6, 3, 4};
  Parameters parameters(spec);
  parameters.initialize(1);
  Network training(spec, parameters, 8, Mode::kTraining);
  FoldedNetwork folded = inference_graph(spec, parameters);
  Network inference(folded.spec, folded.parameters, 8, Mode::kInference);
  Model model{spec, Parameters(spec), {}};
  model.parameters.initialize(2);
  Teacher teacher({.weight = 0.5, .temperature = 4}, model, 8, output_shapes(spec).back());
  const std::vector<float> examples(static_cast<size_t>(8 * spec.input.size()), 0.5F);
  std::vector<float> dy(80, 0.1F);
  const auto step = [&](int batch) {
    Pass pass;
    pass.batch = batch;
    if (sequence) pass.lengths = std::span(lengths).first(static_cast<size_t>(batch));
    inference.forward(pass);
    training.forward(pass);
    pass.training = true;
    const Tensor logits = training.forward(pass);
    teacher.mix({batch, examples.data(), {}, pass.lengths}, {logits.data, logits.shape}, 0, dy.data());
    training.backward(pass, {dy.data(), {batch, 10}});
  };
  step(8);  // OpenMP starts its threads here
  step(3);
  const int64_t before = allocations;
  for (const int batch : {8, 3, 2, 5, 8}) step(batch);
  EXPECT_EQ(allocations - before, 0);
}

INSTANTIATE_TEST_SUITE_P(Zoo, Allocation,
                         ::testing::Combine(::testing::Values("vgg16", "resnet20", "lenet", "sequence"),
                                            ::testing::Values(1, 2)));

}  // namespace
}  // namespace fdi::nn
