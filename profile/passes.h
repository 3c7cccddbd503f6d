// What the passes of a campaign say together: which readings were disturbed, and the sample of each component with the
// clock's drift divided out. Pure functions of readings; called by the campaign and by whoever loads stored readings.
#pragma once
#include <deque>
#include <span>
#include <vector>

#include "device/reading.h"
#include "profile/sample.h"

namespace fdi::profile {

// One job in one pass.
struct PassReading {
  size_t job = 0;  // index into the campaign's jobs
  int pass = 0;
  device::Reading reading;
};

// Tells disturbed readings as they come: the processor was taken away during the runs, or its clock was off for the
// moment. A slow drift is no disturbance.
class Judge {
 public:
  // Of several threads the calling one also waits, for the others: only the clock is looked at.
  explicit Judge(bool one_thread) : one_thread_(one_thread) {}
  bool disturbed(const device::Reading& reading) const;
  void add(const device::Reading& reading);  // one that is kept

 private:
  bool one_thread_;
  std::deque<double> references_;  // the latest
};

// Indices of readings that are slower than another pass over their job by far more than passes usually differ.
std::vector<size_t> outliers(std::span<const PassReading> readings);

// The samples of all jobs' components, in order: divides the clock's drift out (each reading's reference against the
// median of all) and joins the passes of each job. Left out: jobs without a reading, components for which the engine
// has nothing to do (0 us). Of several readings of one pass the last counts. Throws Error for a reading of another job:
// one that has not as many layers.
std::vector<Sample> combine(std::span<const device::Job> jobs, std::span<const PassReading> readings);

}  // namespace fdi::profile
