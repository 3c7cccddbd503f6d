// Plots: data and a script for gnuplot or Graphviz, and the picture that the tool draws from it. Called by sweep and
// fit.
#pragma once
#include <string>
#include <vector>

namespace fdi::profile {

// The files that were written, and what is missing: empty, or which package draws the picture.
struct Plotted {
  std::vector<std::string> files;
  std::string missing;
};

struct Curve {
  std::string name;  // in the key; empty: none
  std::vector<std::pair<double, double>> points;
};
struct Figure {
  std::string title, x, y;  // the axes
  std::vector<Curve> curves;
  bool lines = true;  // false: filled down to 0
};
// PREFIX.plot.csv (x and one column per curve; empty where a curve has no such x), PREFIX.gp, PREFIX.svg.
Plotted plot(const std::string& prefix, const Figure& figure);

// PREFIX.dot and PREFIX.svg. `dot`: Graphviz source.
Plotted plot_graph(const std::string& prefix, const std::string& dot);

}  // namespace fdi::profile
