// Keep: which units of each group stay. Written by the compressor, read from a file by `fastdeepiot shrink`.
#pragma once
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "nn/unit_groups.h"

namespace fdi::compress {

struct Keep {
  std::vector<std::vector<int>> units;  // by group: counted from 0 within the group, ascending, never empty
  bool operator==(const Keep&) const = default;
};

Keep keep_all(const nn::UnitGroups& groups);
std::vector<int> widths_of(const Keep& keep);
// By unit of all groups: whether it stays.
std::vector<bool> kept_units(const Keep& keep, const nn::UnitGroups& groups);

// {"conv1_1": [0, 2, 5], ...} by group name; groups that are not named keep all. Throws Error "F: ..." for a name that
// is no group (says why, where it is a layer), a unit that is out of range or named twice, and an empty list.
Keep keep_from_json(const nlohmann::json& json, const nn::NetworkSpec& spec, const nn::UnitGroups& groups,
                    const std::string& where);
nlohmann::json keep_to_json(const Keep& keep, const nn::UnitGroups& groups);

}  // namespace fdi::compress
