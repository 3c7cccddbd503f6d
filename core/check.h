// CHECK(cond): a programmer's assumption that must hold in every build; DCHECK(cond): in debug builds only.
// Input that a user can get wrong is never checked here: throw core::Error.
#pragma once
#include <cstdio>
#include <cstdlib>

namespace fdi::core {
[[noreturn]] inline void check_failed(const char* condition, const char* file, int line) {
  std::fprintf(stderr, "%s:%d: internal error: %s does not hold\n", file, line, condition);
  std::abort();
}
}  // namespace fdi::core

#define CHECK(cond) ((cond) ? void() : ::fdi::core::check_failed(#cond, __FILE__, __LINE__))
#ifdef NDEBUG
#define DCHECK(cond) (void(sizeof((cond))))
#else
#define DCHECK(cond) CHECK(cond)
#endif
