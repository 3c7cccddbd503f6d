// Entry of the command line: parses, runs one subcommand, returns the exit status. Separate from main for the tests.
#pragma once

namespace fdi::cli {
int run(int argc, char** argv);  // throws core::Error for bad input
}
