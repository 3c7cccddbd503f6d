#include "compress/network_times.h"

#include <map>

#include "profile/op_model.h"

namespace fdi::compress {

using profile::Field;
using profile::Structure;

NetworkTimes::NetworkTimes(const nn::NetworkSpec& spec, const nn::UnitGroups& groups, const profile::TimeModel& model)
    : model_(model), memo_(std::make_unique<LayerMemo>(spec, groups)), own_(nn::group_counts(groups)) {
  const std::vector<Structure> as_is = memo_->at(own_);
  for (const Structure& s : as_is) ops_.push_back(s.op);
  axes_of_.resize(as_is.size());
  total_us(own_);  // says now what the model does not know
  for (size_t g = 0; g < own_.size(); ++g) {
    std::vector<int> widths = own_;
    ++widths[g];
    const std::vector<Structure>& wider = memo_->at(widths);
    for (size_t i = 0; i < as_is.size(); ++i)
      for (const Field field : {Field::kInChannel, Field::kOutChannel})
        if (wider[i][field] > as_is[i][field])
          axes_of_[i].push_back(
              {field, g, static_cast<int>(as_is[i][field]), static_cast<int>(wider[i][field] - as_is[i][field])});
  }
}

const profile::Tree& NetworkTimes::tree_of(size_t layer) const { return model_.op(ops_[layer]).tree(); }

double NetworkTimes::total_us(std::span<const int> widths) const {
  double us = 0;
  for (const Structure& s : memo_->at(widths)) us += model_.op(s.op).predict_us(s);
  return us;
}

std::optional<std::vector<CostTable>> NetworkTimes::tables(std::span<const std::vector<int>> candidates,
                                                           std::span<const int> around, size_t largest) const {
  std::map<std::vector<int>, std::vector<size_t>> together;  // groups: the layers that hang on just these
  for (size_t i = 0; i < size(); ++i)
    if (!groups_of(i).empty()) together[{groups_of(i).begin(), groups_of(i).end()}].push_back(i);
  std::vector<int> choices;
  for (const auto& widths : candidates) choices.push_back(static_cast<int>(widths.size()));
  size_t entries = 0;
  for (const auto& [groups, unused] : together) entries += table_size(choices, groups, largest);
  if (entries > largest) return std::nullopt;

  const double bytes = memo_->at(around).front()[Field::kNetworkBytes];
  std::vector<CostTable> out;
  for (const auto& [groups, members] : together) {
    CostTable& table = out.emplace_back(CostTable{groups, {}});
    std::vector<int> choice(choices.size()), widths(around.begin(), around.end());
    do {
      for (const int g : groups) {
        const auto at = static_cast<size_t>(g);
        widths[at] = candidates[at][static_cast<size_t>(choice[at])];
      }
      double us = 0;
      for (const size_t i : members) {
        Structure s = structure(widths, i);
        s[Field::kNetworkBytes] = bytes;
        us += model_.op(s.op).predict_us(s);
      }
      table.cost.push_back(us);
    } while (next_choice(choices, groups, choice));
  }
  return out;
}

}  // namespace fdi::compress
