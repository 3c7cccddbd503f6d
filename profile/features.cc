#include "profile/features.h"

#include "core/error.h"
#include "nn/layer.h"

namespace fdi::profile {
namespace {

using enum Field;
using nn::Op;

bool is_recurrent(Op op) { return op == Op::kGru || op == Op::kLstm; }
bool has_dims(Op op) { return op == Op::kFc || is_recurrent(op); }
bool has_window(Op op) { return op == Op::kConv2d || op == Op::kMaxPool || op == Op::kAvgPool; }

constexpr std::array<std::string_view, kFields> kNames = {
    "in_channel",   "out_channel",   "in_height",    "in_width",     "out_height",   "out_width", "kernel_height",
    "kernel_width", "stride_height", "stride_width", "same",         "step",         "inputs",    "pixels",
    "patch",        "taps",          "FLOPs",        "input_FLOPs",  "hidden_FLOPs", "mem_in",    "mem_out",
    "mem_inter",    "mem",           "param_size",   "network_bytes"};

// Images are (height, width, channel), sequences (step, feature) or (step, height, width, channel).
void read_axes(const core::Shape& shape, double& height, double& width, double& channel, double& step) {
  height = shape.rank >= 3 ? shape[shape.rank - 3] : 1;
  width = shape.rank >= 3 ? shape[shape.rank - 2] : 1;
  channel = shape.back();
  step = shape.rank == 2 || shape.rank == 4 ? shape[0] : 1;
}

double parameter_count(const device::Component& component) {
  double count = 0;
  for (const nn::ParameterSpec& p : nn::op_info(component.layer.op).parameters(component.layer, component.in))
    count += static_cast<double>(p.shape.size());
  return count;
}

}  // namespace

Structure structure_of(const device::Component& component) {
  const nn::LayerSpec& layer = component.layer;
  const nn::OpInfo& info = nn::op_info(layer.op);
  if (component.in.size() < static_cast<size_t>(info.min_inputs) || component.in.front().rank == 0)
    core::fail("{} has {} inputs, want at least {}", describe(layer), component.in.size(), info.min_inputs);
  const core::Shape out = info.output_shape(layer, component.in);
  Structure s{.op = layer.op};
  double unused = 0;
  read_axes(out, s[kOutHeight], s[kOutWidth], s[kOutChannel], unused);
  read_axes(component.in.front(), s[kInHeight], s[kInWidth], s[kInChannel], s[kStep]);
  s[kKernelHeight] = has_window(layer.op) ? layer.attr.kernel[0] : 1;
  s[kKernelWidth] = has_window(layer.op) ? layer.attr.kernel[1] : 1;
  s[kStrideHeight] = has_window(layer.op) ? layer.attr.stride[0] : 1;
  s[kStrideWidth] = has_window(layer.op) ? layer.attr.stride[1] : 1;
  s[kSame] = layer.attr.padding == nn::Padding::kSame ? 1 : 0;
  s[kInputs] = static_cast<double>(component.in.size());
  s[kPixels] = s[kOutHeight] * s[kOutWidth];
  s[kPatch] = s[kKernelHeight] * s[kKernelWidth] * s[kInChannel];
  s[kTaps] = s[kPixels] * s[kKernelHeight] * s[kKernelWidth];
  s[kFlops] = static_cast<double>(info.flops(layer, component.in));
  for (const core::Shape& shape : component.in) s[kMemIn] += static_cast<double>(shape.size());
  s[kMemOut] = static_cast<double>(out.size());
  const double in = s[kInChannel], units = s[kOutChannel], gates = layer.op == Op::kGru ? 3 : 4;
  switch (layer.op) {
    case Op::kConv2d:
      s[kMemInter] = s[kStep] * s[kPixels] * s[kPatch];
      s[kParamSize] = s[kPatch] * units + units;
      break;
    case Op::kFc:
      s[kParamSize] = in * units + units;
      break;
    case Op::kLstm:  // Table 3 counts the cell's state beside the hidden one
      s[kMemIn] *= 2;
      s[kMemOut] *= 2;
      [[fallthrough]];
    case Op::kGru:
      s[kMemInter] = gates * s[kStep] * units;
      s[kParamSize] = gates * units * (in + units + 1);
      break;
    default:
      s[kMemInter] = has_window(layer.op) ? s[kMemOut] * s[kKernelHeight] * s[kKernelWidth] : 0;
      s[kParamSize] = parameter_count(component);
  }
  if (is_recurrent(layer.op)) {
    s[kInputFlops] = s[kFlops] * in / (in + units);
    s[kHiddenFlops] = s[kFlops] * units / (in + units);
  }
  s[kMem] = s[kMemIn] + s[kMemOut] + s[kMemInter];
  s[kNetworkBytes] = static_cast<double>(component.network_bytes);
  return s;
}

std::string_view field_name(Op op, Field field) {
  if (has_dims(op) && field == kInChannel) return "in_dim";
  if (has_dims(op) && field == kOutChannel) return "out_dim";
  return kNames[static_cast<size_t>(field)];
}

Field field_of(Op op, std::string_view name, const std::string& where) {
  for (size_t i = 0; i < kFields; ++i)
    if (field_name(op, static_cast<Field>(i)) == name) return static_cast<Field>(i);
  core::fail("{}: {} has no feature \"{}\"; fit the model anew", where, nn::op_name(op), name);
}

std::span<const Field> structure_fields(Op op) {
  static constexpr std::array window = {kInChannel,   kOutChannel,   kInHeight,    kInWidth, kKernelHeight,
                                        kKernelWidth, kStrideHeight, kStrideWidth, kStep};
  static constexpr std::array dims = {kInChannel, kOutChannel, kStep};
  static constexpr std::array other = {kInChannel, kOutChannel, kInHeight, kInWidth, kStep, kInputs};
  if (has_dims(op)) return dims;
  if (has_window(op)) return window;
  return other;
}

std::span<const Field> condition_fields(Op op, bool all) {
  static constexpr std::array paper = {kInChannel, kOutChannel, kMemIn, kMemOut, kMemInter, kParamSize};
  static constexpr std::array window = {kInChannel, kOutChannel, kKernelHeight, kKernelWidth, kStrideHeight,
                                        kOutHeight, kOutWidth,   kPixels,       kPatch,       kMemIn,
                                        kMemOut,    kMemInter,   kParamSize,    kFlops,       kNetworkBytes};
  static constexpr std::array dims = {kInChannel, kOutChannel, kStep,  kMemIn,       kMemOut,
                                      kMemInter,  kParamSize,  kFlops, kNetworkBytes};
  static constexpr std::array other = {kInChannel, kOutChannel, kPixels, kInputs, kMemIn, kMemOut, kNetworkBytes};
  if (!all) return paper;
  if (has_dims(op)) return dims;
  if (has_window(op)) return window;
  return other;
}

std::span<const Field> channel_fields(Op op) {
  static constexpr std::array both = {kInChannel, kOutChannel};
  return both;
}

std::span<const Field> explanatory_fields(Op op) {
  static constexpr std::array layer = {kFlops, kMem, kParamSize};
  static constexpr std::array recurrent = {kFlops, kMem, kParamSize, kStep};
  static constexpr std::array other = {kFlops, kMemIn, kMemInter, kMemOut};
  if (is_recurrent(op)) return recurrent;
  if (op == Op::kConv2d || op == Op::kFc) return layer;
  return other;
}

std::span<const Field> candidate_fields(Op op) {
  static constexpr std::array conv = {kFlops,  kMemInter, kMemIn, kMemOut,    kParamSize,
                                      kPixels, kTaps,     kPatch, kInChannel, kOutChannel};
  static constexpr std::array fc = {kFlops, kMemIn, kMemOut, kParamSize, kInChannel, kOutChannel, kStep};
  static constexpr std::array recurrent = {kInputFlops, kHiddenFlops, kMemIn,     kMemOut,    kMemInter,
                                           kParamSize,  kStep,        kInChannel, kOutChannel};
  static constexpr std::array other = {kFlops, kMemIn, kMemInter, kMemOut, kParamSize, kPixels, kTaps, kInChannel};
  if (is_recurrent(op)) return recurrent;
  if (op == Op::kConv2d) return conv;
  if (op == Op::kFc) return fc;
  return other;
}

}  // namespace fdi::profile
