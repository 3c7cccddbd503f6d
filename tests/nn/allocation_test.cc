// forward and backward take no memory from the heap: every malloc of this program is counted.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>

#include "core/threads.h"
#include "nn/fuse.h"
#include "nn/network.h"
#include "nn/zoo.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(memory_sanitizer) || __has_feature(thread_sanitizer)
#define FDI_SANITIZED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(__GLIBC__)
#define FDI_SANITIZED 1
#endif

namespace {
std::atomic<int64_t> allocations{0};
}

#ifndef FDI_SANITIZED  // a sanitizer has a malloc of its own
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
#ifdef FDI_SANITIZED
    GTEST_SKIP() << "the sanitizer's malloc cannot be counted";
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

TEST_P(Allocation, NoneInTrainingNorInInference) {
  const NetworkSpec spec = fuse_relu(make_zoo(std::get<0>(GetParam()), {.width = 0.25}));
  Parameters parameters(spec);
  parameters.initialize(1);
  Network training(spec, parameters, 8, Mode::kTraining);
  FoldedNetwork folded = inference_graph(spec, parameters);
  Network inference(folded.spec, folded.parameters, 8, Mode::kInference);
  std::vector<float> dy(80, 0.1F);
  const auto step = [&](int batch) {
    Pass pass;
    pass.batch = batch;
    inference.forward(pass);
    training.forward(pass);
    pass.training = true;
    training.forward(pass);
    training.backward(pass, {dy.data(), {batch, 10}});
  };
  step(8);  // OpenMP starts its threads here
  step(3);
  const int64_t before = allocations;
  step(8);
  step(3);
  step(8);
  EXPECT_EQ(allocations - before, 0);
}

INSTANTIATE_TEST_SUITE_P(Zoo, Allocation,
                         ::testing::Combine(::testing::Values("vgg16", "resnet20", "lenet"), ::testing::Values(1, 2)));

}  // namespace
}  // namespace fdi::nn
