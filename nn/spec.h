// NetworkSpec: the one description of a network, a list of layers in topological order. It builds, trains, profiles,
// compresses, saves and draws. Plain data; JSON in and out. Shapes here never include the batch.
#pragma once
#include <array>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/shape.h"

namespace fdi::nn {

using core::Shape;

// Limits that keep every product of sizes inside 64 bits, and a hostile file from asking for absurd memory.
constexpr int kMaxLayers = 10000;
constexpr int kMaxRank = 4;                         // of one example; the batch adds one
constexpr int kMaxDimension = 1 << 24;              // one extent
constexpr int64_t kMaxElements = int64_t{1} << 30;  // one tensor of one example, one weight tensor

enum class Op {  // append only: the values name random streams and are part of what was drawn with them
  kConv2d,
  kFc,
  kBatchNorm,
  kRelu,
  kTanh,
  kSigmoid,
  kMaxPool,
  kAvgPool,
  kGlobalAvgPool,
  kDropout,
  kChannelDropout,
  kFlatten,
  kReshape,
  kSlice,
  kConcat,
  kAdd,
  kGru,
  kLstm,
  kTimeMean,
  kMask
};

// "same" is TensorFlow's: out = ceil(in / stride), the odd padding pixel at the bottom and right.
enum class Padding { kValid, kSame };

// All attributes of all ops; an op reads only those that its OpInfo lists, and JSON holds only those.
struct Attributes {
  int units = 0;                     // conv2d: out_channel, fc: out_dim, gru/lstm: hidden units
  std::array<int, 2> kernel{1, 1};   // (height, width): conv2d, pools
  std::array<int, 2> stride{1, 1};   // conv2d, pools
  Padding padding = Padding::kSame;  // conv2d, pools
  bool bias = true;                  // conv2d, fc
  bool relu = false;                 // conv2d, fc, batch_norm, add: max(0, .) fused into the write-back (see nn/fuse.h)
  float rate = 0;                    // dropout: probability that a unit (a channel) is dropped
  float epsilon = 1e-5F;             // batch_norm
  float momentum = 0.1F;             // batch_norm: running = (1 - momentum) * running + momentum * batch
  int axis = 0, begin = 0, end = 0;  // slice [begin, end) of an axis; concat along an axis
  Shape shape{};                     // reshape
  bool reset_after = true;           // gru: reset gate after the matrix product (PyTorch, cuDNN) or before (Cho et al.)
  bool operator==(const Attributes&) const = default;
};

struct LayerSpec {
  Op op = Op::kRelu;
  std::string name;
  std::vector<int> inputs;  // kInput: the network's input, else an index into NetworkSpec::layers below this one's
  Attributes attr;
  static constexpr int kInput = -1;
  bool operator==(const LayerSpec&) const = default;
};

struct NetworkSpec {
  std::string name;               // "vgg16"
  Shape input;                    // of one example
  std::vector<LayerSpec> layers;  // the last one is the output
  bool operator==(const NetworkSpec&) const = default;
};

std::string_view op_name(Op op);               // "conv2d"
std::string describe(const LayerSpec& layer);  // "[conv2d conv3_1]", the head of every message about a layer
// What is wrong with a layer's name ("is empty"), or null. Names become tensor names and parts of one-line messages.
const char* name_fault(std::string_view name);

// JSON names inputs by layer name ("input" is the network's). Layers may come in any order; they are sorted. Throws
// Error for an unknown op or attribute, a duplicate or missing name, a missing input, a cycle (its path is listed), and
// for shapes that do not fit. `where` heads the messages (a file name).
NetworkSpec spec_from_json(const nlohmann::json& json, std::string_view where);
nlohmann::json spec_to_json(const NetworkSpec& spec);
// One layer on its own: op, name and attributes. Inputs are neither read nor written, shapes are not checked.
LayerSpec layer_from_json(const nlohmann::json& json, std::string_view where);
nlohmann::json layer_to_json(const LayerSpec& layer);
// Any JSON text; throws Error "WHERE: byte 17: not JSON: ...", and where an object has a key twice.
nlohmann::json parse_json(std::string_view text, std::string_view where);

// Throws Error "WHO WHAT has shape ..., want ..." for a tensor of one example that passes the limits above.
void check_shape(std::string_view who, std::string_view what, const Shape& shape);
// Output shape of one layer: throws Error "[conv2d conv3_1] got ..., want ...".
Shape output_shape(const LayerSpec& layer, std::span<const Shape> in);
// Of all layers, in order; checks the whole spec.
std::vector<Shape> output_shapes(const NetworkSpec& spec);
// The input shapes of layer i, given the output shapes of all.
std::vector<Shape> input_shapes(const NetworkSpec& spec, const std::vector<Shape>& shapes, size_t i);

}  // namespace fdi::nn
