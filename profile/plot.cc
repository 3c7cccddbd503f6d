// gnuplot and dot run as programs of their own; without them the data is there all the same.
#include "profile/plot.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <map>

#include "core/error.h"
#include "core/file.h"

namespace fdi::profile {
namespace {

// Exit status of a program found in PATH and run in `folder`, its output thrown away; -1: there is no such program.
int run_program(const std::vector<std::string>& words, const std::filesystem::path& folder) {
  std::vector<char*> argv;
  for (const std::string& word : words) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
    posix_spawn_file_actions_addopen(&actions, stream, "/dev/null", O_RDWR, 0);
  if (!folder.empty()) posix_spawn_file_actions_addchdir_np(&actions, folder.c_str());
  pid_t child = 0;
  const int error = posix_spawnp(&child, argv[0], &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) return -1;
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

std::string file_name(const std::string& path) { return std::filesystem::path(path).filename().string(); }

// Runs `words` in the folder of `svg`; they name files without it, so that a script can be run again from there.
Plotted draw(const std::vector<std::string>& words, std::vector<std::string> files, const std::string& svg,
             const char* package) {
  std::error_code ignored;
  std::filesystem::remove(svg, ignored);  // an older picture would not show what is in the data
  const int status = run_program(words, std::filesystem::path(svg).parent_path());
  if (status < 0)
    return {files, fmt::format("{} is not installed: {} has the data, there is no picture (Debian: apt-get install {})",
                               words[0], files[0], package)};
  if (status != 0 || !std::filesystem::exists(svg))
    core::fail("{}: {} could not draw {} (exit status {})", svg, words[0], files.back(), status);
  files.push_back(svg);
  return {files, ""};
}

// A text of gnuplot's, in quotes that know one escape: the quote itself, doubled.
std::string text_of(const std::string& text) {
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? "''" : std::string(1, c == '\n' ? ' ' : c);
  return out + "'";
}

std::string table(const Figure& figure) {
  std::map<double, std::vector<std::string>> rows;
  for (size_t k = 0; k < figure.curves.size(); ++k)
    for (const auto& [x, y] : figure.curves[k].points) {
      std::vector<std::string>& row = rows[x];
      row.resize(figure.curves.size());
      row[k] = fmt::format("{}", y);
    }
  const auto column = [](std::string name) {
    for (char& c : name)
      if (c == ',' || c == '"') c = ' ';
    return name;
  };
  std::string text = column(figure.x);
  for (const Curve& curve : figure.curves) text += "," + column(curve.name.empty() ? figure.y : curve.name);
  text += '\n';
  for (const auto& [x, row] : rows) {
    text += fmt::format("{}", x);
    for (const std::string& cell : row) text += "," + cell;
    text += '\n';
  }
  return text;
}

}  // namespace

Plotted plot(const std::string& prefix, const Figure& figure) {
  const std::string data = prefix + ".plot.csv", script = prefix + ".gp", svg = prefix + ".svg";
  core::write_file_atomically(data, table(figure));
  std::string text = fmt::format(
      "set terminal svg noenhanced size 800,500 font 'sans,13' background 'white'\nset output {}\n"
      "set datafile separator ','\nset title {}\nset xlabel {}\nset ylabel {}\nset grid\nset yrange [0:*]\nset key {}\n"
      "plot ",
      text_of(file_name(svg)), text_of(figure.title), text_of(figure.x), text_of(figure.y),
      figure.curves.size() > 1 ? "top left" : "off");
  for (size_t k = 0; k < figure.curves.size(); ++k)
    text += fmt::format("{}{} using 1:{} skip 1 with {} title {}", k == 0 ? "" : ", \\\n  ", text_of(file_name(data)),
                        k + 2, figure.lines ? "linespoints lw 1.5 pt 7 ps 0.3" : "filledcurves y1=0",
                        text_of(figure.curves[k].name));
  core::write_file_atomically(script, text + "\n");
  return draw({"gnuplot", file_name(script)}, {data, script}, svg, "gnuplot-nox");
}

Plotted plot_graph(const std::string& prefix, const std::string& dot) {
  const std::string source = prefix + ".dot", svg = prefix + ".svg";
  core::write_file_atomically(source, dot);
  return draw({"dot", "-Tsvg", "-o", file_name(svg), file_name(source)}, {source}, svg, "graphviz");
}

}  // namespace fdi::profile
