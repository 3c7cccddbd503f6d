// Features of a component: its structure as numbers (Tables 2 and 3 of the paper), which of them a condition may ask
// for (f) and which explain its time (x). Called by the time model, and by whoever shows or expands a structure.
#pragma once
#include <array>
#include <cstdint>
#include <span>
#include <string_view>

#include "device/component.h"

namespace fdi::profile {

enum class Field : uint8_t {  // append only: sorting by these in order decides what a fit sets apart
  kInChannel,                 // last axis of the first input; in_dim of fc, gru, lstm
  kOutChannel,                // last axis of the output; out_dim of fc, gru, lstm
  kInHeight,
  kInWidth,
  kOutHeight,
  kOutWidth,
  kKernelHeight,
  kKernelWidth,
  kStrideHeight,
  kStrideWidth,
  kSame,          // 1: padding "same", 0: "valid"
  kStep,          // of a sequence, 1 without one
  kInputs,        // number of input tensors
  kPixels,        // out_height * out_width
  kPatch,         // kernel_height * kernel_width * in_channel: length of the sum behind one output
  kTaps,          // pixels * kernel_height * kernel_width: windows' pixels of one channel
  kFlops,         // one multiply-add is 2
  kInputFlops,    // of recurrent layers: the input's part, one matrix product for all steps ...
  kHiddenFlops,   // ... and the hidden state's, one after the other
  kMemIn,         // floats
  kMemOut,        // floats
  kMemInter,      // floats; windows of a convolution or pool, gates of a recurrent layer (Table 3)
  kMem,           // mem_in + mem_out + mem_inter
  kParamSize,     // floats
  kNetworkBytes,  // see device::Component
};
constexpr size_t kFields = static_cast<size_t>(Field::kNetworkBytes) + 1;

struct Structure {
  nn::Op op = nn::Op::kConv2d;
  std::array<double, kFields> value{};
  double operator[](Field field) const { return value[static_cast<size_t>(field)]; }
  double& operator[](Field field) { return value[static_cast<size_t>(field)]; }
};

// Throws Error where the layer does not fit its input.
Structure structure_of(const device::Component& component);

// "in_channel", of an fc "in_dim".
std::string_view field_name(nn::Op op, Field field);
// Throws Error naming `where` for a name that no field of the op has.
Field field_of(nn::Op op, std::string_view name, const std::string& where);

// What describes the structure: the fields whose range makes the scope of a model.
std::span<const Field> structure_fields(nn::Op op);
// The paper's f: channels or dims, memory and parameters. Beyond it (`all`): kernel, stride, pixels, FLOPs, ...
std::span<const Field> condition_fields(nn::Op op, bool all);
// Those of them that a multiple-of condition may ask for.
std::span<const Field> channel_fields(nn::Op op);
// The paper's x: FLOPs, mem, param_size, of recurrent layers also step. Other ops: FLOPs, mem_in, mem_inter, mem_out.
std::span<const Field> explanatory_fields(nn::Op op);
// What may explain the time beyond the paper's x; variables are learned from these (variable_search.h).
std::span<const Field> candidate_fields(nn::Op op);

}  // namespace fdi::profile
