// What a component's structure counts, against Table 3 of the paper worked out by hand.
#include "profile/features.h"

#include <gtest/gtest.h>

#include "tests/profile/samples.h"

namespace fdi::profile {
namespace {

struct Counts {
  double param_size, mem_in, mem_out, mem_inter, flops;
};
void expect_counts(const device::Component& component, const Counts& want) {
  const Structure s = structure_of(component);
  SCOPED_TRACE(nn::op_name(s.op));
  EXPECT_EQ(s[Field::kParamSize], want.param_size);
  EXPECT_EQ(s[Field::kMemIn], want.mem_in);
  EXPECT_EQ(s[Field::kMemOut], want.mem_out);
  EXPECT_EQ(s[Field::kMemInter], want.mem_inter);
  EXPECT_EQ(s[Field::kMem], want.mem_in + want.mem_out + want.mem_inter);
  EXPECT_EQ(s[Field::kFlops], want.flops);
}

TEST(Features, Table3) {
  expect_counts(component(nn::Op::kFc, {{7}}, 5),
                {.param_size = 7 * 5 + 5, .mem_in = 7, .mem_out = 5, .mem_inter = 0, .flops = 2 * 7 * 5});
  device::Component conv = component(nn::Op::kConv2d, {{9, 6, 4}}, 8);  // 2x3, stride 2, valid: 4x2 pixels
  conv.layer.attr.kernel = {2, 3};
  conv.layer.attr.stride = {2, 2};
  conv.layer.attr.padding = nn::Padding::kValid;
  expect_counts(conv, {.param_size = 2 * 3 * 4 * 8 + 8,
                       .mem_in = 9 * 6 * 4,
                       .mem_out = 4 * 2 * 8,
                       .mem_inter = 4 * 2 * (2 * 3 * 4),
                       .flops = 2 * (4 * 2) * (2 * 3 * 4) * 8});
  conv.layer.attr.padding = nn::Padding::kSame;  // 5x3 pixels
  expect_counts(conv, {.param_size = 2 * 3 * 4 * 8 + 8,
                       .mem_in = 9 * 6 * 4,
                       .mem_out = 5 * 3 * 8,
                       .mem_inter = 5 * 3 * (2 * 3 * 4),
                       .flops = 2 * (5 * 3) * (2 * 3 * 4) * 8});
  expect_counts(component(nn::Op::kGru, {{10, 6}}, 4), {.param_size = 3 * 4 * (6 + 4 + 1),
                                                        .mem_in = 10 * 6,
                                                        .mem_out = 10 * 4,
                                                        .mem_inter = 3 * 10 * 4,
                                                        .flops = 2 * 10 * 3 * 4 * (6 + 4)});
  expect_counts(component(nn::Op::kLstm, {{10, 6}}, 4), {.param_size = 4 * 4 * (6 + 4 + 1),
                                                         .mem_in = 2 * 10 * 6,
                                                         .mem_out = 2 * 10 * 4,
                                                         .mem_inter = 4 * 10 * 4,
                                                         .flops = 2 * 10 * 4 * 4 * (6 + 4)});
}

TEST(Features, ThePapersConditionsAndVariables) {
  const auto list = [](std::span<const Field> fields) { return std::vector<Field>(fields.begin(), fields.end()); };
  using enum Field;
  for (const nn::Op op : {nn::Op::kFc, nn::Op::kConv2d, nn::Op::kGru, nn::Op::kLstm}) {
    SCOPED_TRACE(nn::op_name(op));
    EXPECT_EQ(list(condition_fields(op, false)),
              (std::vector{kInChannel, kOutChannel, kMemIn, kMemOut, kMemInter, kParamSize}));
    std::vector<Field> x = {kFlops, kMem, kParamSize};
    if (op == nn::Op::kGru || op == nn::Op::kLstm) x.push_back(kStep);
    EXPECT_EQ(list(explanatory_fields(op)), x);
  }
}

// The order decides which samples a fit sets apart.
TEST(Features, KeepTheirOrder) {
  const char* const names[] = {"in_channel", "out_channel",   "in_height",    "in_width",      "out_height",
                               "out_width",  "kernel_height", "kernel_width", "stride_height", "stride_width",
                               "same",       "step",          "inputs",       "pixels",        "patch",
                               "taps",       "FLOPs",         "input_FLOPs",  "hidden_FLOPs",  "mem_in",
                               "mem_out",    "mem_inter",     "mem",          "param_size",    "network_bytes"};
  ASSERT_EQ(kFields, std::size(names));
  for (size_t i = 0; i < kFields; ++i) EXPECT_EQ(field_name(nn::Op::kConv2d, static_cast<Field>(i)), names[i]);
}

}  // namespace
}  // namespace fdi::profile
