// What the tests of expansion ask: a network, its unit groups, and what a planted model says of their widths.
#pragma once
#include "compress/network_times.h"
#include "tests/compress/stepped_model.h"

namespace fdi::compress {

constexpr auto kMultiple = profile::Condition::Kind::kMultiple;

struct Network {
  explicit Network(nn::NetworkSpec network, profile::TimeModel times_of)
      : spec(std::move(network)), groups(nn::unit_groups(spec)), model(std::move(times_of)) {}
  nn::NetworkSpec spec;
  nn::UnitGroups groups;
  profile::TimeModel model;
  NetworkTimes times{spec, groups, model};
};

}  // namespace fdi::compress
