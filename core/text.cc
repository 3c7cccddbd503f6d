#include "core/text.h"

#include <algorithm>

namespace fdi::core {

std::string wrapped(std::string_view text, size_t indent) {
  std::string out;
  const size_t rest = std::max(kColumns / 2, kColumns - std::min(indent, kColumns));  // room behind the first line
  for (size_t room = kColumns; text.size() > room; room = rest) {
    size_t end = text.rfind(" + ", room);  // the space before the sign
    if (end == std::string_view::npos || end < room / 2) end = text.rfind(' ', room);
    if (end == std::string_view::npos || text.find_first_not_of(' ') >= end) break;
    const std::string_view line = text.substr(0, end);
    out.append(line.substr(0, line.find_last_not_of(' ') + 1)).append("\n").append(indent, ' ');
    text.remove_prefix(end + 1);
  }
  return out.append(text);
}

}  // namespace fdi::core
