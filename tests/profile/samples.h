// Components, samples and readings for the tests of the profile.
#pragma once
#include <initializer_list>
#include <string>

#include "profile/sample.h"

namespace fdi::profile {

inline device::Component component(nn::Op op, std::initializer_list<nn::Shape> in, int units = 0) {
  device::Component c;
  c.layer.op = op;
  c.layer.name = nn::op_name(op);
  c.in = in;
  c.layer.inputs.assign(c.in.size(), nn::LayerSpec::kInput);
  c.layer.attr.units = units;
  return c;
}

inline device::Component conv(int size, int in_channel, int out_channel) {
  device::Component c = component(nn::Op::kConv2d, {{size, size, in_channel}}, out_channel);
  c.layer.attr.kernel = {3, 3};
  c.layer.attr.relu = true;
  c.network_bytes = 1 << 20;
  return c;
}

inline device::Identity test_device(const std::string& cpu = "Test CPU, \"fast\"") {
  device::Identity d;
  d.machine = "board";
  d.cpu = cpu;
  d.os = "Linux 6.1 x86_64";
  d.engine = "native";
  d.engine_version = "1";
  d.isa = "avx2";
  return d;
}

}  // namespace fdi::profile
