// What an error says, for tests that expect one.
#pragma once
#include <functional>
#include <string>

#include "core/error.h"

namespace fdi {

// The message of the core::Error that `f` throws; "" where it throws none.
inline std::string message_of(const std::function<void()>& f) {
  try {
    f();
  } catch (const core::Error& e) {
    return e.what();
  }
  return "";
}

}  // namespace fdi
