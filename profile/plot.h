// Plots: data and a script for gnuplot or Graphviz, and the picture that the tool draws from it. Called by sweep, fit
// and report.
#pragma once
#include <string>
#include <vector>

namespace fdi::profile {

// The files that were written, and what is missing: empty, or which package draws the picture.
struct Plotted {
  std::vector<std::string> files;
  std::string missing;
};

enum class Mark { kDots, kLine, kPoints, kFilled, kBars };  // dots and points are joined by a line; filled: down to 0
struct Curve {
  std::string name = {};  // in the key; empty: none
  std::vector<std::pair<double, double>> points = {};
  Mark mark = Mark::kDots;
  std::string color = {};                            // "#0072b2"; empty: gnuplot's next
  int shape = 7;                                     // of points: gnuplot's number, 7: a disc
  std::vector<std::pair<double, double>> from = {};  // the lower edge of what is filled, at the same x; empty: 0
  bool in_key = true;                                // the name stands in the table's header in any case
};
struct Figure {
  std::string title = {}, x = {}, y = {};  // the axes
  std::vector<Curve> curves = {};
  std::vector<std::string> labels = {};  // of x = 0, 1, 2, ...: for bars
  bool x_from_zero = false, y_from_zero = true;
  double x_most = 0;  // where the axis of x ends, with x_from_zero; 0: near the data
  double x_tick = 0;  // a number and a grid line at each multiple of this; 0: where gnuplot puts them
};
// For an axis of sizes that ends at `most`: a power of two, as engines step, that gives ten numbers at most.
double power_of_two_tick(double most);
struct Layout {
  int width = 800, height = 500, columns = 1;
};
// PREFIX.gp, PREFIX.svg and for each panel PREFIX.plot.csv, PREFIX.plot2.csv, ...: x and one column per curve; empty
// where a curve has no such x.
Plotted plot(const std::string& prefix, const std::vector<Figure>& panels, const Layout& layout = {});

// PREFIX.dot and PREFIX.svg. `dot`: Graphviz source.
Plotted plot_graph(const std::string& prefix, const std::string& dot);

}  // namespace fdi::profile
