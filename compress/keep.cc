#include "compress/keep.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <numeric>

#include "core/error.h"

namespace fdi::compress {
namespace {

using nlohmann::json;

// Why `name` is no group, and what to write instead.
[[noreturn]] void fail_name(const std::string& name, const nn::NetworkSpec& spec, const nn::UnitGroups& groups,
                            const std::string& where) {
  for (size_t i = 0; i < spec.layers.size(); ++i) {
    if (spec.layers[i].name != name) continue;
    for (const nn::UnitGroup& g : groups.groups)
      if (std::find(g.layers.begin(), g.layers.end(), static_cast<int>(i)) != g.layers.end())
        core::fail("{}: {} shares its units with other layers; name them as \"{}\"", where,
                   nn::describe(spec.layers[i]), g.name);
    core::fail("{}: {} has no units that could go{}{}; leave it out", where, nn::describe(spec.layers[i]),
               groups.fixed[i].empty() ? "" : ": ", groups.fixed[i]);
  }
  std::string names;
  for (const nn::UnitGroup& g : groups.groups) names += (names.empty() ? "" : ", ") + g.name;
  core::fail("{}: \"{}\" is no group of units; they are: {}", where, name, names);
}

std::vector<int> read_units(const json& value, const nn::UnitGroup& group, const std::string& where) {
  const std::string who = fmt::format("{}: {}", where, group.name);
  if (!value.is_array()) core::fail("{}: got {}, want a list of units, e.g. [0, 2, 5]", who, value.type_name());
  std::vector<int> units;
  for (const json& unit : value) {
    if (!unit.is_number_integer() || unit < 0 || unit >= group.count)
      core::fail("{}: unit {}: want an integer from 0 to {}", who, unit.dump().substr(0, 40), group.count - 1);
    units.push_back(unit.get<int>());
  }
  if (units.empty()) core::fail("{}: keeps no unit, want at least one of {}", who, group.count);
  std::sort(units.begin(), units.end());
  const auto twice = std::adjacent_find(units.begin(), units.end());
  if (twice != units.end()) core::fail("{}: unit {} is named twice", who, *twice);
  return units;
}

}  // namespace

Keep keep_all(const nn::UnitGroups& groups) {
  Keep keep;
  for (const nn::UnitGroup& group : groups.groups) {
    std::vector<int>& units = keep.units.emplace_back();
    units.resize(static_cast<size_t>(group.count));
    std::iota(units.begin(), units.end(), 0);
  }
  return keep;
}

std::vector<int> widths_of(const Keep& keep) {
  std::vector<int> widths;
  for (const auto& units : keep.units) widths.push_back(static_cast<int>(units.size()));
  return widths;
}

std::vector<bool> kept_units(const Keep& keep, const nn::UnitGroups& groups) {
  std::vector<bool> kept(static_cast<size_t>(groups.units()));
  for (size_t g = 0; g < keep.units.size(); ++g)
    for (const int unit : keep.units[g])
      kept[static_cast<size_t>(groups.groups[g].first) + static_cast<size_t>(unit)] = true;
  return kept;
}

Keep keep_from_json(const json& json, const nn::NetworkSpec& spec, const nn::UnitGroups& groups,
                    const std::string& where) {
  if (!json.is_object())
    core::fail("{}: got {}, want an object like {{\"conv1\": [0, 2, 5]}}", where, json.type_name());
  Keep keep = keep_all(groups);
  for (const auto& [name, value] : json.items()) {
    const auto found = std::find_if(groups.groups.begin(), groups.groups.end(),
                                    [&name = name](const nn::UnitGroup& g) { return g.name == name; });
    if (found == groups.groups.end()) fail_name(name, spec, groups, where);
    keep.units[static_cast<size_t>(found - groups.groups.begin())] = read_units(value, *found, where);
  }
  return keep;
}

json keep_to_json(const Keep& keep, const nn::UnitGroups& groups) {
  json out = json::object();
  for (size_t g = 0; g < keep.units.size(); ++g) out[groups.groups[g].name] = keep.units[g];
  return out;
}

}  // namespace fdi::compress
