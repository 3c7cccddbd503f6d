// Lines of a terminal: where they are broken.
#include "core/text.h"

#include <gtest/gtest.h>

namespace fdi::core {
namespace {

std::string words(size_t length, char letter) { return std::string(length, letter); }

TEST(Wrapped, WhatFitsIsLeftAlone) {
  EXPECT_EQ(wrapped("", 4), "");
  EXPECT_EQ(wrapped(words(kColumns, 'a'), 4), words(kColumns, 'a'));
}

TEST(Wrapped, BreaksAtASpace) {
  EXPECT_EQ(wrapped(words(100, 'a') + " " + words(40, 'b'), 4), words(100, 'a') + "\n    " + words(40, 'b'));
  EXPECT_EQ(wrapped(words(120, 'a') + " b", 2), words(120, 'a') + "\n  b");
  // 118 characters stand behind the indent, not 119.
  EXPECT_EQ(wrapped(words(100, 'a') + " " + words(117, 'b') + " c", 2),
            words(100, 'a') + "\n  " + words(117, 'b') + "\n  c");
}

TEST(Wrapped, BreaksASumBeforeItsSign) {
  EXPECT_EQ(wrapped(words(90, 'a') + " + b c d " + words(40, 'e'), 2),
            words(90, 'a') + "\n  + b c d " + words(40, 'e'));
  // Not where most of the line would stay empty.
  EXPECT_EQ(wrapped("a + " + words(100, 'b') + " " + words(40, 'c'), 2),
            "a + " + words(100, 'b') + "\n  " + words(40, 'c'));
}

TEST(Wrapped, WhatHasNoSpaceStaysWhole) {
  EXPECT_EQ(wrapped(words(200, 'a'), 4), words(200, 'a'));
  EXPECT_EQ(wrapped("    " + words(200, 'a'), 4), "    " + words(200, 'a')) << "no line of spaces alone";
}

TEST(Printable, ShowsControlCharactersAndBytesThatAreNoUtf8) {
  EXPECT_EQ(printable("plain caf\u00e9 \u732b"), "plain caf\u00e9 \u732b");
  EXPECT_EQ(printable("a\nb\tc\r"), "a\\nb\\tc\\r");
  EXPECT_EQ(printable("\x1b[31mred\x7f"), "\\x1b[31mred\\x7f");
  EXPECT_EQ(printable("caf\xe9"), "caf\\xe9");
  EXPECT_EQ(printable("\u0085"), "\\xc2\\x85");             // next line, a C1 control
  EXPECT_EQ(printable("\xed\xa0\x80"), "\\xed\\xa0\\x80");  // a surrogate
  EXPECT_FALSE(is_utf8("\xc0\xaf"));
  EXPECT_TRUE(is_utf8("\xf0\x9f\x90\xb1"));
}

TEST(ShellWord, IsOneWordOfTheShell) {
  EXPECT_EQ(shell_word("ssh:pi@board:/opt/agent"), "ssh:pi@board:/opt/agent");
  EXPECT_EQ(shell_word("my dir/a"), "'my dir/a'");
  EXPECT_EQ(shell_word("it's"), "'it'\\''s'");
  EXPECT_EQ(shell_word(""), "''");
  EXPECT_EQ(shell_word("$HOME;~"), "'$HOME;~'");
}

}  // namespace
}  // namespace fdi::core
