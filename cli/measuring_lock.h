// Who measures: two processes at once would make each other's times longer, and fill one run together. Called by
// profile, sweep and fit --figures.
#pragma once
#include <string>

#include "core/file.h"

namespace fdi::cli {

// Held by one process that works with this database. Other databases are not looked at.
class MeasuringLock {
 public:
  // `what`: a device as --device has it, or "run 3". Throws Error that says who holds it. Where the disk knows no locks
  // nothing is held.
  MeasuringLock(const std::string& database, const std::string& what);

 private:
  core::FileLock lock_;  // on a file beside the database
};

}  // namespace fdi::cli
