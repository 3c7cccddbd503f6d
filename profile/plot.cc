// gnuplot and dot run as programs of their own; without them the data is there all the same.
#include "profile/plot.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <map>

#include "core/error.h"
#include "core/file.h"

namespace fdi::profile {
namespace {

// Exit status of a program found in PATH and run in `folder`, its output thrown away; less than 0: the error number
// (negative) for which it could not be started.
int run_program(const std::vector<std::string>& words, const std::filesystem::path& folder) {
  std::vector<char*> argv;
  argv.reserve(words.size() + 1);
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
  if (error != 0) return -error;
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
  if (status < 0 && status != -ENOENT)
    return {files, fmt::format("{} cannot be started ({}), so there is no picture", words[0], std::strerror(-status))};
  if (status < 0)
    return {files,
            fmt::format("{} is not installed, so there is no picture (Debian: apt-get install {})", words[0], package)};
  if (status != 0 || !std::filesystem::exists(svg))
    core::fail("{}: {} could not draw {} (exit status {})", svg, words[0], files.back(), status);
  files.push_back(svg);
  return {files, ""};
}

// A text of gnuplot's, in the quotes in which it runs nothing: they know one escape, the quote itself, doubled.
std::string text_of(const std::string& text) {
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? "''" : c == '\n' ? "'.\"\\n\".'" : std::string(1, c);
  return out + "'";
}

// A cell of a table, and a text in it, without what separates cells.
std::string cell(std::string text) {
  for (char& c : text)
    if (c == ',' || c == '"' || c == '\n') c = ' ';
  return text;
}

struct PlotColumn {
  std::string name;
  const std::vector<std::pair<double, double>>* points;
};
std::vector<PlotColumn> columns_of(const Figure& figure) {  // behind that of x
  std::vector<PlotColumn> columns;
  for (const Curve& curve : figure.curves) {
    const std::string& name = curve.name.empty() ? figure.y : curve.name;
    columns.push_back({name, &curve.points});
    if (!curve.from.empty()) columns.push_back({name + ": from", &curve.from});
  }
  return columns;
}

std::string table(const Figure& figure) {
  const std::vector<PlotColumn> columns = columns_of(figure);
  std::multimap<double, std::vector<std::string>> rows;
  for (size_t k = 0; k < columns.size(); ++k)
    for (const auto& [x, y] : *columns[k].points) {
      const auto [first, last] = rows.equal_range(x);
      auto row = std::find_if(first, last, [k](const auto& r) { return r.second[k].empty(); });
      if (row == last) row = rows.emplace(x, std::vector<std::string>(columns.size()));
      row->second[k] = fmt::format("{}", y);
    }
  std::string text = cell(figure.x);
  for (const PlotColumn& column : columns) {
    text += ',';
    text += cell(column.name);
  }
  text += '\n';
  for (const auto& [x, row] : rows) {
    text += figure.labels.empty() ? fmt::format("{}", x) : cell(figure.labels.at(static_cast<size_t>(x)));
    for (const std::string& value : row) text += "," + value;
    text += '\n';
  }
  return text;
}

std::string style(const Curve& curve) {
  const std::string color = curve.color.empty() ? "" : " lc rgb " + text_of(curve.color);
  switch (curve.mark) {
    case Mark::kDots:
      return "linespoints lw 1.5 pt 7 ps 0.3" + color;
    case Mark::kLine:
      return "lines lw 1.5" + color;
    case Mark::kPoints:
      return fmt::format("linespoints lw 1.5 pt {} ps 1.1{}", curve.shape, color);
    case Mark::kFilled:
      return (curve.from.empty() ? "filledcurves y1=0" : "filledcurves") + color;
    case Mark::kBars:
      return "histograms fs solid border lt -1 lw 0.3" + color;
  }
  return "";
}

// Of all x, from 0 where the figure says so; low > high where there are none.
std::pair<double, double> x_extent(const Figure& figure) {
  double low = figure.x_from_zero ? 0 : INFINITY, high = -INFINITY;
  for (const Curve& curve : figure.curves)
    for (const auto& [x, y] : curve.points) {
      low = std::min(low, x);
      high = std::max(high, x);
    }
  return {low, high};
}

// gnuplot itself would go on to the next numbers of the axis on both sides.
std::string x_range(const Figure& figure) {
  if (!figure.labels.empty()) return fmt::format("[-0.7:{}]", figure.labels.size() - 0.3);
  if (figure.x_from_zero) return figure.x_most > 0 ? fmt::format("[0:{}]", figure.x_most) : "[0:*]";
  const auto [low, high] = x_extent(figure);
  const double margin = 0.02 * (high - low);
  return high > low ? fmt::format("[{}:{}]", low - margin, high + margin) : "[*:*]";
}

// At most six numbers below a panel of several, whose labels would touch in half a picture; gnuplot itself may put a
// dozen.
std::string ticks(const Figure& figure, int columns) {
  if (figure.x_tick > 0) return fmt::format("{:g}", figure.x_tick);
  const auto [low, high] = x_extent(figure);
  if (columns == 1 || !(high > low)) return "autofreq";
  const double least = (high - low) / 5, decade = std::pow(10, std::floor(std::log10(least)));
  double step = 10 * decade;
  for (const double factor : {5.0, 2.0, 1.0})
    if (factor * decade >= least) step = factor * decade;
  return fmt::format("{:g}", step);
}

std::string commands(const Figure& figure, const std::string& data, int columns) {
  std::string text = fmt::format(
      "set title {}\nset xlabel {}\nset ylabel {}\nset xrange {}\nset yrange {}\nset key {}\n", text_of(figure.title),
      text_of(figure.x), text_of(figure.y), x_range(figure), figure.y_from_zero ? "[0:*]" : "[*:*]",
      figure.curves.size() > 1 ? "tmargin center horizontal samplen 1.5" : "off");
  text += !figure.labels.empty() ? "set xtics autofreq rotate by 40 right\n"
                                 : fmt::format("set xtics norotate {}\n", ticks(figure, columns));
  text += "plot ";
  int column = 1;
  for (size_t k = 0; k < figure.curves.size(); ++k) {
    const Curve& curve = figure.curves[k];
    std::string values = figure.labels.empty() ? fmt::format("1:{}", ++column) : fmt::format("{}:xtic(1)", ++column);
    if (!curve.from.empty()) values += fmt::format(":{}", ++column);
    text += fmt::format("{}{} using {} skip 1 with {} title {}", k == 0 ? "" : ", \\\n  ", text_of(data), values,
                        style(curve), text_of(curve.in_key ? curve.name : ""));
  }
  return text + "\n";
}

}  // namespace

double power_of_two_tick(double most) {
  double tick = 1;
  while (most / tick > 10) tick *= 2;
  return tick;
}

Plotted plot(const std::string& prefix, const std::vector<Figure>& panels, const Layout& layout) {
  const std::string script = prefix + ".gp", svg = prefix + ".svg";
  std::string text = fmt::format(
      "set terminal svg noenhanced size {},{} font 'sans,13' background 'white'\nset output {}\n"
      "set datafile separator ','\nset grid\nset offsets graph 0.02, graph 0.02, graph 0.04, graph 0.04\n"
      "set style histogram clustered gap 1\n",
      layout.width, layout.height, text_of(file_name(svg)));
  const size_t rows = (panels.size() + layout.columns - 1) / layout.columns;
  if (panels.size() > 1) text += fmt::format("set multiplot layout {},{}\n", rows, layout.columns);
  Plotted out;
  for (size_t i = 0; i < panels.size(); ++i) {
    const std::string data = fmt::format("{}.plot{}.csv", prefix, i == 0 ? "" : std::to_string(i + 1));
    core::write_file_atomically(data, table(panels[i]));
    out.files.push_back(data);
    text += commands(panels[i], file_name(data), layout.columns);
  }
  core::write_file_atomically(script, text);
  out.files.push_back(script);
  return draw({"gnuplot", file_name(script)}, out.files, svg, "gnuplot-nox");
}

Plotted plot_graph(const std::string& prefix, const std::string& dot) {
  const std::string source = prefix + ".dot", svg = prefix + ".svg";
  core::write_file_atomically(source, dot);
  return draw({"dot", "-Tsvg", "-o", file_name(svg), file_name(source)}, {source}, svg, "graphviz");
}

}  // namespace fdi::profile
