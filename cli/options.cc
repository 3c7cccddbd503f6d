// What the common options do, see options.h.
#include "cli/options.h"

#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <system_error>

#include "cli/run_folder.h"
#include "cli/terminal.h"
#include "core/error.h"
#include "core/file.h"
#include "core/restart.h"
#include "core/threads.h"
#include "kernels/gemm.h"
#include "kernels/isa.h"
#include "nn/file_kind.h"

namespace fdi::cli {

void add_common(CLI::App& command, CommonOptions& common, std::function<void()> work) {
  const std::string group = "Common options";
  command.add_option("--json", common.json, "Write the machine-readable result to FILE; - is standard output")
      ->type_name("FILE")
      ->group(group);
  CLI::Option* threads =
      command.add_option("--threads", common.threads, "Compute threads; all processors unless given")
          ->type_name("N")
          ->group(group);
  command
      .add_option("--isa", common.isa,
                  "Instruction set of the kernels: avx512, avx2, sse4, ssse3, neon, scalar; the best unless given "
                  "(or FASTDEEPIOT_ISA)")
      ->type_name("NAME")
      ->group(group);
  command.add_option("--gemm", common.gemm, "Matrix products by our own kernels or by OpenBLAS: native, openblas")
      ->type_name("NAME")
      ->capture_default_str()
      ->group(group);
  command.add_option("--seed", common.seed, "Seed of every random draw; the same seed gives the same numbers")
      ->type_name("N")
      ->capture_default_str()
      ->group(group);
  command.callback([&command, &common, threads, work = std::move(work)] {
    check_distinct_files(command);
    if (threads->count() > 0) {
      core::set_threads(common.threads);
      warn_if_too_many(common.threads);
    }
    if (!common.isa.empty()) kernels::set_isa(common.isa);
    kernels::isa();  // an unusable FASTDEEPIOT_ISA is said now
    if (common.gemm != "native" && common.gemm != "openblas")
      core::fail("--gemm {}: wanted native or openblas", common.gemm);
    kernels::set_gemm_provider(common.gemm == "native" ? kernels::GemmProvider::kNative
                                                       : kernels::GemmProvider::kOpenBlas);
    if (!common.json.empty() && common.json != "-") check_writable(common.json);
    work();
  });
}

namespace {

// Whether all of `text` is a number that T holds.
template <class T>
bool holds(const std::string& text, T& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return end == text.data() + text.size() && error == std::errc();
}

// Without a plus; of a whole number without leading zeros, which CLI11 would read as octal.
std::string plain_number(std::string text, bool whole) {
  if (text.starts_with('+') && !text.starts_with("+-")) text.erase(0, 1);
  const size_t sign = text.starts_with('-') ? 1 : 0;
  const size_t digits = std::min(text.find_first_not_of('0', sign), text.size());
  const bool zeros_only = digits == text.size() || text.find_first_not_of("0123456789", digits) != std::string::npos;
  if (whole && digits > sign && !zeros_only) text.erase(sign, digits - sign);
  return text;
}

// Throws Error for what is no such number; returns what CLI11 reads as it was meant.
std::string checked_number(const std::string& name, const std::string& given, bool whole) {
  std::string text = plain_number(given, whole);
  const std::string shown = given.empty() ? "''" : given;
  double real = 0;
  int64_t integer = 0;
  uint64_t seed = 0;
  if (!whole && (!holds(text, real) || !std::isfinite(real)))
    core::fail("{} {}: wanted a number, e.g. 0.5", name, shown);
  if (whole && name == "--seed" && !holds(text, seed))
    core::fail("{} {}: wanted a whole number from 0 to {}", name, shown, std::numeric_limits<uint64_t>::max());
  if (whole && name != "--seed" && !holds(text, integer)) core::fail("{} {}: wanted a whole number", name, shown);
  return text;
}

}  // namespace

void check_numbers(CLI::App& app) {
  for (CLI::Option* option : app.get_options()) {
    const std::string type = option->get_type_name().substr(0, option->get_type_name().find(':'));
    const std::string name = option->get_name();
    const bool whole = type == "N" || type == "INT" || type == "UINT";
    if (!whole && type != "X" && type != "FLOAT") continue;
    option->transform(CLI::Validator(
        [whole, name](std::string& text) {
          text = checked_number(name, text, whole);
          return std::string();
        },
        ""));
  }
  for (CLI::App* command : app.get_subcommands([](CLI::App*) { return true; })) check_numbers(*command);
}

void write_result(const CommonOptions& common, const nlohmann::json& result) {
  if (common.json.empty()) return;
  // A file name that was found, not given, may be no UTF-8.
  const std::string text = result.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
  if (common.json == "-")
    write_output(text);
  else
    core::write_file_atomically(common.json, text);
}

void print(const CommonOptions& common, const std::string& text) {
  if (common.json != "-") write_output(text);
}

void check_distinct_files(const CLI::App& command) {
  std::error_code none;  // of files that are not there: they are not the same
  for (const char* written : {"--json", "--out", "--csv", "--svg"}) {
    const CLI::Option* to = command.get_option_no_throw(written);
    if (to == nullptr || to->count() == 0 || !std::filesystem::is_regular_file(to->results().back(), none)) continue;
    for (const CLI::Option* other : command.get_options())
      for (const std::string& value : other->results())
        if (other != to &&
            (std::filesystem::equivalent(value, to->results().back(), none) ||
             std::filesystem::equivalent(std::filesystem::path(value) / kModelFile, to->results().back(), none)))
          core::fail("{} {}: is the file of {}, too, and would be lost; give another name", written,
                     to->results().back(), other->get_name());
  }
}

void check_on_off(const char* option, const std::string& value) {
  if (value != "on" && value != "off") core::fail("{} {}: wanted on or off", option, value);
}

void warn_if_too_many(int threads) {
  if (threads > core::hardware_threads() && !core::restarted())
    note("{} threads on {} processors: those that share one wait for each other, and all of them for the last", threads,
         core::hardware_threads());
}

void check_writable(const std::string& path, Written what) {
  core::AtomicFile probe(path);  // dropped uncommitted: leaves nothing
  std::error_code none;
  if (!std::filesystem::is_regular_file(path, none)) return;
  std::string begin(4096, '\0');
  std::ifstream file(path, std::ios::binary);
  file.read(begin.data(), static_cast<std::streamsize>(begin.size()));
  begin.resize(static_cast<size_t>(file.gcount()));
  const std::string_view kind = nn::file_kind(begin);
  const bool text = kind.empty() || kind == nn::kJsonText, model = kind == nn::kSafetensors;
  if (begin.empty() || (what == Written::kText ? text : model)) return;
  core::fail("{}: is {} already, which would be lost; give another name, or remove it first", path,
             kind.empty() ? "another kind of file" : kind);
}

}  // namespace fdi::cli
