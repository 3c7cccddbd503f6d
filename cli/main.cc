// The program `fastdeepiot`. Only main prints errors and sets the exit status: 0 done, 2 bad input, 1 anything else.
#include <exception>
#include <filesystem>
#include <new>
#include <stdexcept>
#include <system_error>

#include "cli/cli.h"
#include "cli/terminal.h"
#include "core/error.h"

constexpr const char* kOutOfMemory =
    "fastdeepiot: out of memory; ask for less (smaller images, --limit, --batch, --threads) or lift the limit";

int main(int argc, char** argv) {
  using fdi::cli::note;
  fdi::cli::prepare_streams();
  try {
    return fdi::cli::run(argc, argv);
  } catch (const fdi::core::Error& e) {
    note("fastdeepiot: {}", e.what());
    return e.code() == fdi::core::ErrorCode::kBadInput ? 2 : 1;
  } catch (const std::bad_alloc&) {
    fdi::cli::write_note(kOutOfMemory);
  } catch (const std::length_error&) {
    fdi::cli::write_note(kOutOfMemory);
  } catch (const std::filesystem::filesystem_error& e) {
    note("fastdeepiot: {}: {}", e.path1().string(), e.code().message());
  } catch (const std::system_error& e) {
    const bool again = e.code() == std::errc::resource_unavailable_try_again;
    note("fastdeepiot: the system refuses: {}{}", e.code().message(),
         again ? "; no more threads are allowed: lift the limit (ulimit -u)" : "");
  } catch (const std::exception& e) {
    note("fastdeepiot: unexpected failure: {}", e.what());
  }
  return 1;
}
