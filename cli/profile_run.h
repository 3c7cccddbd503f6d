// A profile as its options say: called by profile, and by predict where a device has no time model yet.
#pragma once
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "cli/profiling.h"

namespace CLI {
class Option;
}

namespace fdi::cli {

struct ProfileFlags {
  ProfilingOptions profiling;
  std::vector<std::string> ops, networks;
  std::vector<nn::NetworkSpec> specs;  // more networks, read already
  std::string scope, cache = "network", csv;
  int samples = 1300, passes = 15;
  double width = 1;  // of networks that are the zoo's
  double minutes = 15, max_mflop = 0, target_mape = 0;
  bool adaptive = false;
};

// Adds --samples and --minutes.
std::vector<CLI::Option*> add_amount(CLI::App& command, ProfileFlags& flags);

// Measures and stores, says on standard output and error what it does, and returns what --json writes.
nlohmann::json profile_device(const ProfileFlags& flags, profile::Runner& runner);

}  // namespace fdi::cli
