#include "compress/layer_memo.h"

#include "device/component.h"

namespace fdi::compress {

LayerMemo::LayerMemo(const nn::NetworkSpec& spec, const nn::UnitGroups& groups) : spec_(spec), groups_(groups) {
  const std::vector<device::Component> whole = device::components(spec);
  for (const device::Component& c : whole) names_.push_back(c.layer.name);
  depends_.resize(whole.size());
  known_.resize(whole.size());
  std::vector<int> widths = nn::group_counts(groups);
  for (size_t g = 0; g < widths.size(); ++g) {
    ++widths[g];
    const std::vector<device::Component> wider = device::components(nn::with_widths(spec, groups, widths));
    for (size_t i = 0; i < whole.size(); ++i)
      if (wider[i].layer != whole[i].layer || wider[i].in != whole[i].in) depends_[i].push_back(g);
    --widths[g];
  }
}

void LayerMemo::learn(std::span<const int> widths) const {
  const std::vector<device::Component> parts = device::components(nn::with_widths(spec_, groups_, widths));
  for (size_t i = 0; i < parts.size(); ++i) {
    int64_t in_floats = 0;
    for (const nn::Shape& shape : parts[i].in) in_floats += shape.size();
    std::vector<int> key;
    for (const size_t g : depends_[i]) key.push_back(widths[g]);
    known_[i].try_emplace(std::move(key), Known{profile::structure_of(parts[i]),
                                                own_bytes(parts[i]) - in_floats * static_cast<int64_t>(sizeof(float))});
  }
}

std::vector<profile::Structure> LayerMemo::at(std::span<const int> widths) const {
  const std::lock_guard lock(mutex_);
  std::vector<profile::Structure> structures;
  structures.reserve(known_.size());
  std::vector<int> key;
  int64_t bytes = spec_.input.size() * static_cast<int64_t>(sizeof(float));
  for (size_t i = 0; i < known_.size(); ++i) {
    key.clear();
    for (const size_t g : depends_[i]) key.push_back(widths[g]);
    auto found = known_[i].find(key);
    if (found == known_[i].end()) {
      learn(widths);
      found = known_[i].find(key);
    }
    structures.push_back(found->second.structure);
    bytes += found->second.bytes;
  }
  for (profile::Structure& s : structures) s[profile::Field::kNetworkBytes] = static_cast<double>(bytes);
  return structures;
}

}  // namespace fdi::compress
