// Some libraries read settings from the environment as they are loaded, before main. A program that wants others sets
// them and starts itself anew. Called by commands before they do anything.
#pragma once
#include <initializer_list>

namespace fdi::core {

struct Setting {
  const char *name, *value;
};
// Sets those of the settings that the environment lacks; what the user gave is left alone. If any was missing, the
// program starts anew, once. Does nothing outside the program `fastdeepiot` (a test that links this).
void restart_with(std::initializer_list<Setting> settings);
// Whether this program was started anew: what was said before has been said.
bool restarted();

// For training with several threads: OpenMP's spin at its barriers for milliseconds, in which another process could
// run, and its threads wait for the one that was displaced. With 1000 turns a training on 2 threads beside a busy
// process ran 1.5 times as fast, and alone no slower (GCC 12, quarter-width VGG-16).
inline constexpr Setting kShortSpins{"GOMP_SPINCOUNT", "1000"};

}  // namespace fdi::core
