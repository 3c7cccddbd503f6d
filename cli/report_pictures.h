// The pictures of a report, drawn by gnuplot (profile/plot). Called by report.
#pragma once
#include <map>
#include <string>
#include <vector>

#include "cli/report_experiment.h"
#include "profile/plot.h"

namespace fdi::cli {

struct Picture {
  std::string name;  // of its files: "accuracy_time"
  std::string title, caption;
  std::vector<profile::Figure> panels;
  profile::Layout layout;
};

// A method has one colour and one mark in all pictures of a report.
profile::Curve curve_of(const std::string& method, profile::Mark mark);

// Accuracy against time and against size, times and widths by layer before and after, the course of the search; those
// that the runs have data for.
std::vector<Picture> pictures_of(const Experiment& experiment);

}  // namespace fdi::cli
