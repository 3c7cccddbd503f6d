// The list of subcommands, and how a parse error becomes one line.
#include "cli/cli.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "cli/commands.h"
#include "cli/options.h"
#include "cli/suggest.h"
#include "cli/terminal.h"
#include "core/error.h"
#include "core/text.h"
#include "device/version.h"

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

std::vector<std::string> subcommands_of(const CLI::App& command) {
  std::vector<std::string> names;
  for (const CLI::App* sub : command.get_subcommands({})) names.push_back(sub->get_name());
  return names;
}

// `text` from behind `mark` to `end`; empty where `mark` is not in it.
std::string between(const std::string& text, const std::string& mark, const std::string& end) {
  const size_t begin = text.find(mark);
  if (begin == std::string::npos) return "";
  const size_t from = begin + mark.size();
  return text.substr(from, text.find(end, from) - from);
}

// CLI11's message with what was got and what is wanted in our order; as it is where it says both in another way.
std::string what_is_wrong(const CLI::ParseError& error, const CLI::App& command) {
  std::string what = error.what();
  while (!what.empty() && what.back() == '\n') what.pop_back();
  const std::string name = what.substr(0, what.find_first_of(": "));
  if (what == "A subcommand is required")
    return fmt::format("which command? give one of {}", fmt::join(subcommands_of(command), ", "));
  if (error.get_name() == "ConversionError" && what.find(" = ") != std::string::npos)  // a number, see check_numbers()
    return between(what, ": ", " = ") + " " + between(what, " = ", "\n") + ": out of range";
  if (const std::string known = between(what, " not in {", "}"); !known.empty())
    return fmt::format("{} {}: wanted one of {}", name, between(what, ": ", " not in "), known);
  if (const std::string range = between(what, " not in range ", "\n"); !range.empty())
    return fmt::format("{} {}: wanted {}", name, between(what, ": Value ", " not in "), range);
  if (const std::string type = between(what, " required ", " missing"); !type.empty())
    return fmt::format("{}: {} is missing behind it", name, type);
  if (const std::string other = between(what, " excludes ", "\n"); !other.empty())
    return fmt::format("{} and {}: give one of them, not both", name, other);
  return what;
}

[[noreturn]] void fail_parse(CLI::App& app, const CLI::ParseError& error) {
  const CLI::App* command = innermost(&app);
  const std::string help = path_of(command) + " --help";
  // A mistyped flag shows as an argument left over, or as a required one that is missing.
  const std::vector<std::string> left = app.remaining(true);
  if (left.empty()) core::fail("{}; see {}", what_is_wrong(error, *command), help);
  const std::string& word = left.front();
  std::vector<std::string> known = subcommands_of(*command);
  const bool is_command = !word.starts_with("-") && !known.empty();
  if (word.starts_with("-")) {
    known.clear();
    for (const CLI::Option* option : command->get_options()) known.push_back(option->get_name());
  }
  if (word.starts_with("\u2013") || word.starts_with("\u2014"))
    core::fail(
        "argument '{}' begins with a dash that is no hyphen, as texts and web pages set it: type it anew; see {}", word,
        help);
  const std::string near = nearest(word.substr(0, word.find('=')), known);
  core::fail("{} '{}'{}; see {}", is_command ? "there is no command" : "unknown argument", word,
             near.empty() ? "" : "; did you mean " + near + "?", help);
}

// Results and checkpoints name the files that a command was given, as JSON: in UTF-8.
void check_arguments(int argc, char** argv) {
  for (int i = 1; i < argc; ++i)
    if (!core::is_utf8(argv[i]))
      core::fail("argument '{}' is no UTF-8; rename what it names, or give a link to it", argv[i]);
}

}  // namespace

int run(int argc, char** argv) {
  check_arguments(argc, argv);
  CLI::App app(
      "Learns how long neural networks take on a device, and makes them smaller and faster. Start with ./demo.sh.",
      "fastdeepiot");
  app.footer(
      "'fastdeepiot COMMAND --help' explains a command and shows an example.\n"
      "Results go to standard output, progress and warnings to standard error.\n"
      "Exit status: 0 done, 2 bad input, 1 anything else.");
  app.get_formatter()->column_width(34);
  app.get_formatter()->label("SUBCOMMAND", "COMMAND");
  app.require_subcommand(1);
  app.option_defaults()->take_last();  // a flag given twice: the later one counts, so that scripts can append
  app.set_version_flag("--version", fmt::format("fastdeepiot {}", device::build_version()),
                       "Print the version, with a hash of the sources, and exit");
  const auto group = [&app](const char* name, std::initializer_list<void (*)(CLI::App&)> commands) {
    for (const auto add : commands) {
      const size_t before = app.get_subcommands([](CLI::App*) { return true; }).size();
      add(app);
      app.get_subcommands([](CLI::App*) { return true; }).at(before)->group(name);
    }
  };
  group("Train", {add_train, add_eval, add_info, add_data});
  group("Measure and predict times", {add_profile, add_fit, add_predict, add_sweep, add_db, add_bench});
  group("Compress", {add_compress, add_expand, add_shrink, add_report});
  check_numbers(app);
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    write_output(app.help());
  } catch (const CLI::CallForVersion& version) {
    write_output(std::string(version.what()) + "\n");
  } catch (const CLI::ParseError& e) {
    fail_parse(app, e);
  }
  return output_is_whole() ? 0 : 1;
}

}  // namespace fdi::cli
