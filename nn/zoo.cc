// Each network is one function of (its row's input and classes, the width). Convolutions before a batch norm have no
// bias: the norm would take it away again.
#include "nn/zoo.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "nn/builder.h"

namespace fdi::nn {
namespace {

struct Sizes {
  std::string name;
  Shape input;
  int classes;
  double width;
  int scaled(int units) const { return std::max(1, static_cast<int>(std::lround(units * width))); }
};

// conv (3x3 unless said), batch norm, and relu where asked for.
void conv_norm(SpecBuilder& b, const std::string& name, std::vector<int> from, Attributes conv, bool relu) {
  conv.bias = false;
  b.add_on(std::move(from), Op::kConv2d, name, conv);
  b.add(Op::kBatchNorm, name + "_bn");
  if (relu) b.add(Op::kRelu, name + "_relu");
}

void max_pool(SpecBuilder& b, const std::string& name) {
  b.add(Op::kMaxPool, name, {.kernel = {2, 2}, .stride = {2, 2}, .padding = Padding::kValid});
}

// The 13 convolutions of VGG-16 (Simonyan & Zisserman 2015, D) with batch norm, a 2x2 pool after each of 5 blocks.
void vgg16_features(SpecBuilder& b, const Sizes& s) {
  constexpr int kUnits[] = {64, 128, 256, 512, 512}, kDepth[] = {2, 2, 3, 3, 3};
  for (int block = 0; block < 5; ++block) {
    for (int i = 0; i < kDepth[block]; ++i)
      conv_norm(b, fmt::format("conv{}_{}", block + 1, i + 1), {b.last()},
                {.units = s.scaled(kUnits[block]), .kernel = {3, 3}}, true);
    max_pool(b, fmt::format("pool{}", block + 1));
  }
  b.add(Op::kFlatten, "flatten");
}

void fc_relu(SpecBuilder& b, const std::string& name, int units) {
  b.add(Op::kFc, name, {.units = units});
  b.add(Op::kRelu, name + "_relu");
}

// The form for 32x32 images: one hidden fully connected layer of 512. No dropout: batch norm and weight decay do.
NetworkSpec vgg16(const Sizes& s) {
  SpecBuilder b(s.name, s.input);
  vgg16_features(b, s);
  fc_relu(b, "fc1", s.scaled(512));
  b.add(Op::kFc, "fc2", {.units = s.classes});
  return b.take();
}

// The form for 224x224 images: two hidden layers of 4096, each with the paper's dropout.
NetworkSpec vgg16_imagenet(const Sizes& s) {
  SpecBuilder b(s.name, s.input);
  vgg16_features(b, s);
  for (const char* name : {"fc1", "fc2"}) {
    fc_relu(b, name, s.scaled(4096));
    b.add(Op::kDropout, std::string(name) + "_dropout", {.rate = 0.5F});
  }
  b.add(Op::kFc, "fc3", {.units = s.classes});
  return b.take();
}

// Small enough for tests; the layer sizes of LeNet-5 (LeCun et al. 1998) with ReLU and max pooling.
NetworkSpec lenet(const Sizes& s) {
  SpecBuilder b(s.name, s.input);
  for (const auto& [i, units] : {std::pair(1, 6), std::pair(2, 16)}) {
    b.add(Op::kConv2d, fmt::format("conv{}", i), {.units = s.scaled(units), .kernel = {5, 5}});
    b.add(Op::kRelu, fmt::format("conv{}_relu", i));
    max_pool(b, fmt::format("pool{}", i));
  }
  b.add(Op::kFlatten, "flatten");
  fc_relu(b, "fc1", s.scaled(120));
  fc_relu(b, "fc2", s.scaled(84));
  b.add(Op::kFc, "fc3", {.units = s.classes});
  return b.take();
}

// He et al. 2016 for CIFAR: 3 stages of 3 blocks of 2 convolutions, 16, 32, 64 channels. Where the shape changes, the
// shortcut is a 1x1 convolution with batch norm (the paper's option B; its CIFAR runs used A, zero padding).
NetworkSpec resnet20(const Sizes& s) {
  SpecBuilder b(s.name, s.input);
  conv_norm(b, "conv1", {LayerSpec::kInput}, {.units = s.scaled(16), .kernel = {3, 3}}, true);
  for (int stage = 0; stage < 3; ++stage) {
    const int units = s.scaled(16 << stage);
    for (int block = 0; block < 3; ++block) {
      const std::string name = fmt::format("block{}_{}", stage + 1, block + 1);
      const int stride = stage > 0 && block == 0 ? 2 : 1;
      const int from = b.last();
      int shortcut = from;
      if (stride > 1) {
        conv_norm(b, name + "_shortcut", {from}, {.units = units, .kernel = {1, 1}, .stride = {stride, stride}}, false);
        shortcut = b.last();
      }
      conv_norm(b, name + "_conv1", {from}, {.units = units, .kernel = {3, 3}, .stride = {stride, stride}}, true);
      conv_norm(b, name + "_conv2", {b.last()}, {.units = units, .kernel = {3, 3}}, false);
      b.add_on({b.last(), shortcut}, Op::kAdd, name + "_add");
      b.add(Op::kRelu, name + "_relu");
    }
  }
  b.add(Op::kGlobalAvgPool, "pool");
  b.add(Op::kFc, "fc", {.units = s.classes});
  return b.take();
}

struct Row {
  const char* name;
  Shape input;
  int classes;
  NetworkSpec (*make)(const Sizes&);
};
const Row kRows[] = {
    {"vgg16", {32, 32, 3}, 10, vgg16},
    {"vgg16-imagenet", {224, 224, 3}, 1000, vgg16_imagenet},
    {"resnet20", {32, 32, 3}, 10, resnet20},
    {"lenet", {32, 32, 3}, 10, lenet},
};

}  // namespace

NetworkSpec make_zoo(std::string_view name, const ZooOptions& options) {
  if (!(options.width > 0 && options.width <= 16)) core::fail("width {}: want more than 0, at most 16", options.width);
  if (options.classes < 0) core::fail("{} classes: want at least 1", options.classes);
  for (const Row& row : kRows) {
    if (name != row.name) continue;
    NetworkSpec spec = row.make({row.name, options.input.rank == 0 ? row.input : options.input,
                                 options.classes == 0 ? row.classes : options.classes, options.width});
    output_shapes(spec);
    return spec;
  }
  std::string list;
  for (const std::string& known : zoo_names()) list += (list.empty() ? "" : ", ") + known;
  core::fail("no network is called \"{}\"; known: {}", name, list);
}

std::vector<std::string> zoo_names() {
  std::vector<std::string> names;
  for (const Row& row : kRows) names.emplace_back(row.name);
  return names;
}

}  // namespace fdi::nn
