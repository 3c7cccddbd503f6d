// Runs build/fastdeepiot as a user's shell would: a process of its own, both streams caught, exit status and all.
#pragma once
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "core/file.h"
#include "tests/temp_folder.h"

namespace fdi::cli {

// Training data of the tests: 160 synthetic images of 16 x 16 pixels in four classes.
inline constexpr const char* kData = "synthetic:classes=4,height=16,width=16,train=160,test=40";

class Program : public ::testing::Test, public TempFolder {
 protected:
  struct Result {
    int status;  // exit status; -1 where a signal ended it
    std::string out, err;
    int64_t peak_bytes;  // of memory
  };

  // Starts the program in dir_; standard output and error go to files there. `prepare` runs in the new process before
  // the program does: it may close streams and set limits.
  pid_t start(const std::vector<std::string>& arguments, const std::function<void()>& prepare = {}) const {
    const std::string out = path("stdout"), err = path("stderr");
    std::vector<std::string> words = {FDI_PROGRAM};
    words.insert(words.end(), arguments.begin(), arguments.end());
    std::vector<char*> argv;
    argv.reserve(words.size() + 1);
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    const pid_t child = ::fork();
    if (child != 0) return child;
    const auto redirect = [](const std::string& file, int to) {
      ::dup2(::open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644), to);
    };
    redirect("/dev/null", STDIN_FILENO);
    redirect(out, STDOUT_FILENO);
    redirect(err, STDERR_FILENO);
    if (::chdir(dir_.c_str()) != 0) ::_exit(127);
    if (prepare) prepare();
    ::execv(argv[0], argv.data());
    ::_exit(127);
  }
  Result finish(pid_t child) const {
    int status = 0;
    rusage used{};
    ::wait4(child, &status, 0, &used);
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, core::read_file(path("stdout")),
            core::read_file(path("stderr")), int64_t{used.ru_maxrss} * 1024};
  }
  Result run(const std::vector<std::string>& arguments, const std::function<void()>& prepare = {}) const {
    return finish(start(arguments, prepare));
  }
};

}  // namespace fdi::cli
