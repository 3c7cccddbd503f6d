// The safe region of a multiple condition (paper section 3.2, equations 9 to 11, figure 4): the channel counts at which
// widening a layer to the next multiple shortens it whatever count it starts from; and the simplified model that
// follows (figure 3): which channels may be widened without asking.
#pragma once
#include <string>
#include <utility>
#include <vector>

#include "profile/tree.h"

namespace fdi::profile {

// A law as a function of the two channel counts, everything else of the layer fixed (equation 10).
struct ChannelLaw {
  double product = 0, in_term = 0, out_term = 0, bias = 0;
  double operator()(double in, double out) const { return product * in * out + in_term * in + out_term * out + bias; }
};
// Throws Error for a law with rounded or bounded variables, which is no such function (fit with the paper's features),
// and for a layer that is neither convolution nor fc.
ChannelLaw channel_law(const Law& law, const device::Component& component);

constexpr int kUnbounded = 1 << 16;  // a count without a bound: larger than any layer's
// Channel counts that conditions leave: both ends belong to them.
struct ChannelBounds {
  int low = 1, high = kUnbounded;
  bool operator==(const ChannelBounds&) const = default;
};

struct SafeRegion {
  Condition condition;
  std::vector<std::pair<Condition, bool>> way;  // the range conditions on the way to it, and whether they hold
  ChannelBounds in, out;       // what those on channel counts leave; of the widened one so that it stays within them
  std::string where;           // the others: "mem_out > 640"; empty: none
  ChannelLaw multiple, other;  // the laws where the condition holds and where it does not
  int square = 0;              // safe on these bounds up to this count; 0: nowhere
  int samples = 0;             // that the two laws were fitted to
  int step() const { return static_cast<int>(condition.threshold); }
  bool widens_in() const { return condition.field == Field::kInChannel; }
};

// Largest n with y_T(count + tau - 1) < y_F(count) on all of [1, n]^2, or what the bounds leave of it, the condition's
// channel being widened by the most that a multiple of tau can ask for (equation 11); 0 where there is none.
int safe_square(const ChannelLaw& multiple, const ChannelLaw& other, Field channel, int tau, ChannelBounds in = {},
                ChannelBounds out = {});

// Whether every law of the tree is one that a region is known for.
bool has_safe_regions(const Tree& tree);
// Of the multiple conditions on channels that are asked on the component's way from the root, taking the sides where
// they hold and following the component at all others (the paper's Algorithm 2 where every widening is accepted).
std::vector<SafeRegion> safe_regions(const Tree& tree, const device::Component& component);
// Whether the layer with these channel counts gets faster by equation 11, and lies on the region's way before and after
// it is widened: for figure 4.
bool is_safe(const SafeRegion& region, const device::Component& component, int in, int out);
// The layer with other channel counts.
device::Component with_channels(device::Component component, int in, int out);
// "expand in_channel to multiples of 4, out_channel to multiples of 4: faster within [1, 808]^2"; where conditions
// bound the counts ": faster for in_channel 4 to 8, out_channel 1 to 41"; with ", while mem_out > 640" where it rests
// on more. Empty for no region.
std::string simplified_model(nn::Op op, const std::vector<SafeRegion>& regions);

}  // namespace fdi::profile
