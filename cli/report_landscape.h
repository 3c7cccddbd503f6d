// The time landscape of a report: what the biggest layers would take at every width, with the chosen widths marked.
// Called by report.
#pragma once
#include <optional>
#include <string>

#include "cli/report_pictures.h"
#include "profile/time_model.h"

namespace fdi::cli {

// The file's model, else the one that a run left beside its result, else the newest of the runs' device in the
// database. None: `why` says so. Throws Error for a file that was asked for and is no model of that device.
std::optional<profile::TimeModel> landscape_model(const Experiment& experiment, const std::string& file,
                                                  const std::string& database, std::string& why);
// None where no best run has its model file beside its result; `why` says so.
std::optional<Picture> landscape_picture(const Experiment& experiment, const profile::TimeModel& model,
                                         std::string& why);

}  // namespace fdi::cli
