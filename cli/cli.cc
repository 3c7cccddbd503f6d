// The list of subcommands, and how a parse error becomes one line.
#include "cli/cli.h"

#include <CLI/CLI.hpp>

#include "cli/commands.h"
#include "core/error.h"

namespace fdi::cli {
namespace {

// The subcommand that a parse error is about, for the hint: "fastdeepiot train".
std::string command_path(const CLI::App& app) {
  std::string path = app.get_name();
  for (const CLI::App* sub : app.get_subcommands()) path += " " + command_path(*sub);
  return path;
}

}  // namespace

int run(int argc, char** argv) {
  CLI::App app("Trains neural networks with its own kernels and runs them on devices.", "fastdeepiot");
  app.footer(
      "fastdeepiot COMMAND --help explains a command and shows an example.\n"
      "Exit status: 0 done, 2 bad input, 1 anything else.");
  app.get_formatter()->column_width(32);
  app.require_subcommand(1);
  // One line per command, in the order of the help text: add_train(app); ...
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    if (e.get_exit_code() == 0) return app.exit(e);  // --help: printed to standard output
    std::string what = e.what();
    while (!what.empty() && what.back() == '\n') what.pop_back();
    core::fail("{}; see {} --help", what, command_path(app));
  }
  return 0;
}

}  // namespace fdi::cli
