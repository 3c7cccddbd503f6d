// Expansion: wider layers where the time model says that they are faster (paper, Algorithm 2 and section 3.2). Zeros
// fill what is added (compress/shrink.h, widen), so that outputs stay. Called by `fastdeepiot expand`.
#pragma once
#include <functional>
#include <vector>

#include "compress/network_times.h"
#include "nn/model_file.h"

namespace fdi::compress {

// Algorithm 2 (with the sign of its line 15 corrected, as equation 11 has it): layer by layer a walk down the tree that
// widens channels to the multiples it asks for, where the law there promises less time. Layers that share a group of
// units may ask for different widths: settled one group after the other by the shorter total. Never slower by the
// model.
std::vector<int> expand_paper(const NetworkTimes& times);

// All widths together: each group keeps its own or takes a next multiple of what any of its layers' rules speak of,
// conditions and roundings alike. The least total is exact for a model that asks for layers' own sizes, as long as the
// layers' ties allow tables (chains, residual stages, branches); where it also asks for the size of the whole network,
// or ties are too many, no change of one width (of two together) shortens it further. Never slower by the model than
// expand_paper.
std::vector<int> expand_joint(const NetworkTimes& times);

// By group, ascending, the own width first: what expand_joint chooses from.
std::vector<std::vector<int>> expansion_candidates(const NetworkTimes& times);

// Microseconds of each network, timed in turn.
using MeasureNetworks = std::function<std::vector<double>(const std::vector<nn::NetworkSpec>&)>;

// Two timings of one network in turn differed by up to 0.6% (15 pairs, 0.1 to 0.3 ms, one thread, a shared host).
constexpr double kMeasuredNoise = 0.01;

struct Trial {
  std::vector<int> widths;
  double predicted_us = 0, before_us = 0, after_us = 0;
  bool faster() const { return after_us < before_us * (1 - kMeasuredNoise); }
};

// A widening counts only where it is faster when measured, by more than noise. Else the half of the widened groups that
// the model promises least of take their own widths again, and the rest is tried, until one is faster or none is left.
// Trials in order; none where `widths` are the network's own. The last one is the choice if it is faster(), else the
// network stays.
std::vector<Trial> try_widening(const nn::NetworkSpec& spec, const nn::UnitGroups& groups, const NetworkTimes& times,
                                std::vector<int> widths, const MeasureNetworks& measure);

}  // namespace fdi::compress
