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

// Beyond it, a reference kernel that takes so many times its usual time tells of a disturbance; the clock alone drifts
// by less.
constexpr double kDisturbedSlowness = 1.08;

// Tells disturbed readings as they come: the processor was taken away during the runs, or the reference kernel was
// slow: somebody used the other half of the core, or the clock was off. (On a shared host such spells last from tenths
// of seconds to minutes; layers are 15 to 25% slower then, some more than others: to divide that out is second best.) A
// slow drift is no disturbance.
class Judge {
 public:
  // Of several threads the calling one also waits, for the others: only the clock is looked at. `expected_us`: what the
  // reference kernel took when this device was profiled; 0: nobody knows.
  explicit Judge(bool one_thread, double expected_us = 0) : one_thread_(one_thread), expected_us_(expected_us) {}
  bool disturbed(const device::Reading& reading) const;
  void add(const device::Reading& reading);  // every one that was taken

 private:
  bool one_thread_;
  double expected_us_;
  std::deque<double> references_;  // the latest, of disturbed readings too
};

// Of each job, the readings that count, their times divided by how much slower the reference kernel was than usually:
// of each pass the last one, left out those more than 1.3 times as slow, but for the five fastest. `expected_us`: see
// Judge. (On a host where half of the readings were disturbed, layers were slower by 10, 25, 29 and 43% where the
// reference kernel was by 9, 17, 25 and 35%; the median of five disturbed passes was 8 to 28% off, divided 2 to 5%.)
std::vector<PassReading> at_usual_speed(std::span<const PassReading> readings, double expected_us = 0);
// What the reference kernel takes where nothing disturbs; 0 of no readings.
double usual_reference_us(std::span<const PassReading> readings);

// Indices of readings that are slower than another pass over their job by far more than passes usually differ.
std::vector<size_t> outliers(std::span<const PassReading> readings);

// The samples of all jobs' components, in order: joins the passes of each job, at_usual_speed(). Left out: jobs without
// a reading, components for which the engine has nothing to do (0 us). Of several readings of one pass the last counts.
// Throws Error for a reading of another job: one that has not as many layers.
std::vector<Sample> combine(std::span<const device::Job> jobs, std::span<const PassReading> readings);

}  // namespace fdi::profile
