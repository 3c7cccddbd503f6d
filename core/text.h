// Text for a terminal. Called where a line may be too long to read.
#pragma once
#include <string>
#include <string_view>

namespace fdi::core {

constexpr size_t kColumns = 120;

// Broken into lines of at most kColumns, before a " + " of a sum where there is one, else at a space; the lines behind
// the first begin with `indent` spaces. What has no space stays whole.
std::string wrapped(std::string_view text, size_t indent);

}  // namespace fdi::core
