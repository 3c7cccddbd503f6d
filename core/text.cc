#include "core/text.h"

#include <fmt/format.h>

#include <algorithm>

namespace fdi::core {
namespace {

// Bytes of the UTF-8 character that `text` begins with; 0 where it begins with none (overlong forms, surrogates and
// what lies above U+10FFFF are none).
size_t utf8_bytes(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return 1;
  const size_t bytes = lead >= 0xf0 && lead <= 0xf4  ? 4
                       : lead >= 0xe0 && lead < 0xf0 ? 3
                       : lead >= 0xc2 && lead < 0xe0 ? 2
                                                     : 0;
  if (bytes == 0 || text.size() < bytes) return 0;
  for (size_t i = 1; i < bytes; ++i)
    if ((byte(i) & 0xc0) != 0x80) return 0;
  const unsigned char second = byte(1);
  const bool wrong = (lead == 0xe0 && second < 0xa0) || (lead == 0xed && second > 0x9f) ||
                     (lead == 0xf0 && second < 0x90) || (lead == 0xf4 && second > 0x8f);
  return wrong ? 0 : bytes;
}

}  // namespace

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    const size_t bytes = utf8_bytes(text);
    if (bytes == 0) return false;
    text.remove_prefix(bytes);
  }
  return true;
}

std::string printable(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const size_t bytes = utf8_bytes(text);
    const auto lead = static_cast<unsigned char>(text[0]);
    const bool c1 = bytes == 2 && lead == 0xc2 && static_cast<unsigned char>(text[1]) < 0xa0;
    if (lead == '\n' || lead == '\r' || lead == '\t')
      out += lead == '\n' ? "\\n" : lead == '\r' ? "\\r" : "\\t";
    else if (bytes == 0 || lead < 0x20 || lead == 0x7f || c1)
      for (size_t i = 0; i < std::max<size_t>(bytes, 1); ++i)
        out += fmt::format("\\x{:02x}", static_cast<unsigned char>(text[i]));
    else
      out += text.substr(0, bytes);
    text.remove_prefix(std::max<size_t>(bytes, 1));
  }
  return out;
}

std::string shell_word(std::string_view text) {
  constexpr std::string_view kPlain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./:@%+=,-";
  if (!text.empty() && text.find_first_not_of(kPlain) == std::string_view::npos) return std::string(text);
  std::string out = "'";
  for (const char c : text)
    if (c == '\'')
      out += "'\\''";
    else
      out += c;
  return out += '\'';
}

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
