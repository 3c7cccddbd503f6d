// Sampler: draws from a scope what is to be timed. The same scope and seed give the same components, whatever the
// portions in which they are asked for. Called by the program's profile and by the adaptive mode.
#pragma once
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "device/component.h"
#include "profile/sampling_scope.h"

namespace fdi::profile {

class Sampler {
 public:
  // Throws Error for a scope without components: ops that its networks lack, or that Table 2 has no rule for.
  Sampler(SamplingScope scope, uint64_t seed);

  const std::vector<nn::Op>& ops() const { return ops_; }
  // Whether draw_jobs() gives whole networks: the scope is networks, and all their ops.
  bool whole_networks() const;
  // How `samples` are split among ops(): what a model needs for each (40, where there are so many), and the rest by how
  // often an op occurs in the networks, or two parts of convolutions to one of each other op.
  std::vector<int> shares(int samples) const;
  // `count` more of one op, none twice; fewer where the scope seems to hold no more. network_bytes is what it was in
  // the narrowed network, 0 of single ones: the job decides.
  std::vector<device::Component> draw(nn::Op op, int count);
  std::vector<device::Component> draw(int samples);  // of every op its share
  // Jobs with `samples` more components: whole narrowed networks (the last one may bring a few more), or single layers
  // in turn.
  std::vector<device::Job> draw_jobs(int samples);

  // Draws so far, and how many of them passed SamplingScope::max_mflop and were left out.
  int64_t drawn() const { return drawn_; }
  int64_t too_large() const { return too_large_; }

 private:
  device::Component single(nn::Op op);      // one of Table 2
  void offer(device::Component component);  // queues it unless it is too large or known
  nn::NetworkSpec draw_network();

  SamplingScope scope_;
  uint64_t seed_;
  std::vector<nn::Op> ops_;
  std::vector<double> weights_;  // of the shares
  std::map<nn::Op, std::deque<device::Component>> queues_;
  std::map<nn::Op, uint64_t> singles_;  // drawn so far
  uint64_t networks_ = 0;               // drawn so far
  std::set<std::string> known_;
  int64_t drawn_ = 0, too_large_ = 0;
};

// A network with other numbers of channels, units and hidden units, its layers fitting together as before. `width`
// tells the new width of a unit group (nn/unit_groups.h) from the old one; it is called once for each, in order.
nn::NetworkSpec narrow(const nn::NetworkSpec& spec, const std::function<int(int)>& width);

// `count` networks to try a time model on, drawn otherwise than a Sampler's: for each two shares from 0 to 1, and every
// width between these shares of its own, 1 at least.
std::vector<nn::NetworkSpec> narrowed_at_random(const nn::NetworkSpec& spec, int count, uint64_t seed);

// Jobs of single layers that take turns: as they come, or mixed by the seed. A dozen at most, as many as a network has,
// and as many as have their weights, inputs and outputs in a cache together (512 kB); one of more is alone. Layers that
// drove each other's weights out of the caches told of the speed of memory, which changes on a shared host, more than
// of themselves: FC, GRU and LSTM were 30 to 60% farther off. A tenth of them beside convolutions with large images did
// the same to the models of all.
std::vector<device::Job> groups(std::span<const device::Component> components);
std::vector<device::Job> in_turn(std::vector<device::Component> components, uint64_t seed);

}  // namespace fdi::profile
