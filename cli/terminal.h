// What a person reads. Notes, warnings and progress go to standard error and may be lost: a terminal that is gone or a
// full disk behind it never changes the work. Results go to standard output; one that is lost is an error in the end.
#pragma once
#include <fmt/core.h>

#include <string>
#include <string_view>
#include <utility>

namespace fdi::cli {

// Called by main before anything else: standard streams that are closed are occupied, so that no file that is opened
// later gets their numbers, and a reader that went away (SIGPIPE) or a limit on file sizes (SIGXFSZ) becomes an error
// of the write.
void prepare_streams();

// One line on standard error; control characters are shown as escapes.
void write_note(std::string_view line) noexcept;
template <class... Args>
void note(fmt::format_string<Args...> format, Args&&... args) {
  write_note(fmt::format(format, std::forward<Args>(args)...));
}

// All of `text` to standard output. Where it cannot be written (a full disk, a reader that went away) the work goes on,
// so that files are written all the same; see output_is_whole().
void write_output(std::string_view text);

// Whether all output was written, asked when a command's work is done. False where the reader went away (`| head`);
// throws Error (kSystem) where a part was lost for another reason.
bool output_is_whole();

}  // namespace fdi::cli
