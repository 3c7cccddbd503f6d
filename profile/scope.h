// Scope: which structures of an op were sampled. A prediction outside it is a guess and says so.
#pragma once
#include <array>
#include <nlohmann/json_fwd.hpp>
#include <set>
#include <span>
#include <string>

#include "profile/features.h"

namespace fdi::profile {

class Scope {
 public:
  void add(const Structure& structure);
  // Empty, or what lies outside: "out_channel 700 > 512; network_bytes 61.18M > 524288; kernel 7x7 never sampled".
  std::string outside(const Structure& structure) const;
  std::string text(nn::Op op) const;  // "in_channel 1..256, ..., kernel 2x2 3x3, stride 1x1 2x2"

  nlohmann::json to_json(nn::Op op) const;
  static Scope from_json(nn::Op op, const nlohmann::json& json, const std::string& where);

 private:
  std::array<double, kFields> low_{}, high_{};
  std::set<std::array<int, 2>> kernels_, strides_;  // of ops that have them
  bool empty_ = true;
};

}  // namespace fdi::profile
