// "did you mean": the known name that a mistyped one is close to. Called for flags and subcommands.
#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace fdi::cli {

// The nearest of `known` by edit distance, where about a third of the letters differ at most, and never more than 3;
// else empty.
std::string nearest(std::string_view word, const std::vector<std::string>& known);

}  // namespace fdi::cli
