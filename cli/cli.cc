// The list of subcommands, and how a parse error becomes one line.
#include "cli/cli.h"

#include <CLI/CLI.hpp>

#include "cli/commands.h"
#include "cli/suggest.h"
#include "core/error.h"

namespace fdi::cli {
namespace {

// The subcommand that the arguments went to, as typed: "fastdeepiot bench gemm".
const CLI::App* innermost(const CLI::App* app) {
  while (!app->get_subcommands().empty()) app = app->get_subcommands().front();
  return app;
}

std::string path_of(const CLI::App* app) {
  return app->get_parent() == nullptr ? app->get_name() : path_of(app->get_parent()) + " " + app->get_name();
}

[[noreturn]] void fail_parse(CLI::App& app, const CLI::ParseError& error) {
  const CLI::App* command = innermost(&app);
  const std::string help = path_of(command) + " --help";
  // A mistyped flag shows as an argument left over, or as a required one that is missing.
  const std::vector<std::string> left = app.remaining(true);
  if (left.empty()) {
    std::string what = error.what();
    while (!what.empty() && what.back() == '\n') what.pop_back();
    core::fail("{}; see {}", what, help);
  }
  const std::string& word = left.front();
  std::vector<std::string> known;
  if (word.starts_with("-")) {
    for (const CLI::Option* option : command->get_options()) known.push_back(option->get_name());
  } else {
    for (const CLI::App* sub : command->get_subcommands({})) known.push_back(sub->get_name());
  }
  const std::string near = nearest(word.substr(0, word.find('=')), known);
  core::fail("unknown argument '{}'{}; see {}", word, near.empty() ? "" : "; did you mean " + near + "?", help);
}

}  // namespace

int run(int argc, char** argv) {
  CLI::App app("Trains neural networks with its own kernels, and runs and times them on devices.", "fastdeepiot");
  app.footer(
      "'fastdeepiot COMMAND --help' explains a command and shows an example.\n"
      "Results go to standard output, progress and warnings to standard error.\n"
      "Exit status: 0 done, 2 bad input, 1 anything else.");
  app.get_formatter()->column_width(34);
  app.require_subcommand(1);
  app.option_defaults()->take_last();  // a flag given twice: the later one counts, so that scripts can append
  add_train(app);
  add_eval(app);
  add_info(app);
  add_bench(app);
  add_profile(app);
  add_sweep(app);
  add_fit(app);
  add_predict(app);
  add_db(app);
  add_shrink(app);
  add_expand(app);
  add_compress(app);
  add_report(app);
  add_data(app);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    if (e.get_exit_code() == 0) return app.exit(e);  // --help: printed to standard output
    fail_parse(app, e);
  }
  return 0;
}

}  // namespace fdi::cli
