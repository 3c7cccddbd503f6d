#include "cli/measuring_lock.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cctype>
#include <filesystem>
#include <functional>

#include "core/error.h"

namespace fdi::cli {
namespace {

std::string file_of(const std::string& database, std::string what) {
  constexpr size_t kMost = 100;  // file names end at 255 bytes
  if (char host[256] = ""; what == "local" && ::gethostname(host, sizeof host - 1) == 0) {
    what += '-';  // a database on a network disk is of several machines
    what += host;
  }
  const size_t digest = std::hash<std::string>()(what);  // names that are cut or spelt alike stay apart
  std::string name;
  for (const char c : what.substr(0, kMost))
    name += std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '.' ? c : '_';
  const std::filesystem::path file(database);
  return file.parent_path() / fmt::format(".{}.{}-{:x}.lock", file.filename().string(), name, digest);
}

}  // namespace

MeasuringLock::MeasuringLock(const std::string& database, const std::string& what)
    : lock_(file_of(database, what), "fastdeepiot measures " + what) {
  if (lock_.state() == core::FileLock::State::kBusy)
    core::fail_as(
        core::ErrorCode::kSystem,
        "{}: is being measured already, by {}; two at once would make each other's times longer: wait until it "
        "ends, then give the command again",
        what, lock_.holder());
}

}  // namespace fdi::cli
