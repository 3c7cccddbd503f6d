// Options that every subcommand has: --json, --threads, --isa, --gemm, --seed; what a number on the command line may
// be; and how a result leaves the program.
#pragma once
#include <cstdint>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>

namespace CLI {
class App;
}

namespace fdi::cli {

struct CommonOptions {
  std::string json;  // file for the machine-readable result; "-": standard output; empty: none
  int threads = 0;   // 0: not given, all processors
  std::string isa;   // empty: the best one, or FASTDEEPIOT_ISA
  std::string gemm = "native";
  uint64_t seed = 1;
};

// Adds the options to `command` and makes `work` its callback, run after the options have been applied: threads, ISA
// and GEMM provider are set, and --json is known to be writable. `common` must live as long as the app does.
void add_common(CLI::App& command, CommonOptions& common, std::function<void()> work);

// Numbers are checked before they are converted, in all options of `app` and its subcommands: the type names N and INT
// are whole numbers (decimal, 64 bits; --seed 0 to 2^64 - 1), X and FLOAT finite ones. A check throws Error.
void check_numbers(CLI::App& app);

// Where --json asks for it, writes the result (atomically). With --json -, human output must stay away from standard
// output: print() then writes nothing.
void write_result(const CommonOptions& common, const nlohmann::json& result);
void print(const CommonOptions& common, const std::string& text);

// Throws Error where a file to write (--json, --out, --csv, --svg) is that of another option: what is read would be
// lost.
void check_distinct_files(const CLI::App& command);

// Throws Error for an option's value that is neither "on" nor "off".
void check_on_off(const char* option, const std::string& value);

// Says on standard error where there are more threads than processors here.
void warn_if_too_many(int threads);

// Throws Error where a file of this name could not be created, or would replace one that is not its like: a text a
// database or a model, a model anything but a model. Said before hours of work, not after.
enum class Written { kText, kModel };
void check_writable(const std::string& path, Written what = Written::kText);

}  // namespace fdi::cli
