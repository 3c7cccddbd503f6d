// A time model of made-up times, learnt from a network's own layers at random widths: knows every op that it needs.
#pragma once
#include "nn/unit_groups.h"
#include "profile/time_model.h"
#include "tests/profile/planted.h"

namespace fdi::compress {

inline profile::TimeModel planted_model(const nn::NetworkSpec& spec, const profile::Time& us,
                                        const device::Identity& device, int networks = 60) {
  const nn::UnitGroups groups = nn::unit_groups(spec);
  core::Rng rng(1, core::Stream::kTest);
  profile::SampleSet set{device, {}};
  for (int i = 0; i < networks; ++i) {
    std::vector<int> widths;
    for (const nn::UnitGroup& g : groups.groups) widths.push_back(profile::draw(rng, 1, g.count));
    for (const device::Component& c : device::components(nn::with_widths(spec, groups, widths)))
      set.samples.push_back(profile::timed(c, us, rng, 0));
  }
  return profile::TimeModel::fit(set);
}

}  // namespace fdi::compress
