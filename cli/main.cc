// The program `fastdeepiot`. Only main prints errors and sets the exit status: 0 done, 2 bad input, 1 anything else.
#include <cstdio>
#include <exception>

#include "cli/cli.h"
#include "core/error.h"

int main(int argc, char** argv) {
  try {
    return fdi::cli::run(argc, argv);
  } catch (const fdi::core::Error& e) {
    std::fprintf(stderr, "fastdeepiot: %s\n", e.what());
    return 2;
  } catch (const std::exception& e) {
    std::fprintf(stderr, "fastdeepiot: unexpected failure: %s\n", e.what());
    return 1;
  }
}
