// Text for a terminal. Called where a line may be too long to read.
#pragma once
#include <string>
#include <string_view>

namespace fdi::core {

constexpr size_t kColumns = 120;

// Broken into lines of at most kColumns, before a " + " of a sum where there is one, else at a space; the lines behind
// the first begin with `indent` spaces. What has no space stays whole.
std::string wrapped(std::string_view text, size_t indent);

bool is_utf8(std::string_view text);

// Safe to print on a terminal, as one line: control characters (also C1, escape, line breaks) as \n, \t or \x1b, and
// bytes that are no UTF-8 as \xe9. What comes from a file name or a device passes through here.
std::string printable(std::string_view text);

// One word for a POSIX shell: in single quotes where it needs them.
std::string shell_word(std::string_view text);

}  // namespace fdi::core
