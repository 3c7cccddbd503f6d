// The page of a report: one HTML file that needs nothing beside itself. Called by report.
#pragma once
#include <string>
#include <vector>

#include "cli/report_pictures.h"

namespace fdi::cli {

struct DrawnPicture {
  Picture picture;
  std::string svg;  // as gnuplot wrote it
};
struct Section {  // an experiment on the page
  Experiment experiment;
  std::vector<DrawnPicture> pictures;
  std::vector<std::string> notes;  // what is not shown, and why
};
std::string report_page(const std::vector<Section>& sections);

// What an experiment shows, in a sentence or two.
std::string headline(const Experiment& experiment);

}  // namespace fdi::cli
