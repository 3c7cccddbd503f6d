// One reading of the stopwatch as a profile takes it: the job's runs, the reference kernel timed around them, and how
// much of the processor the process really had. Runs on the device: called in-process or by the agent.
#pragma once
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "device/component.h"
#include "device/engine.h"
#include "device/measure.h"

namespace fdi::device {

struct Reading {
  Timing time;
  double reference_us = 0;  // a fixed piece of work timed before, between and after: the clock's speed at that moment
  double cpu_share = 1;  // processor time / wall time of the calling thread during the runs; below 1: somebody else ran
};

// What lies in the caches when a layer begins: itself (run after run), what its network leaves there, or nothing.
enum class CacheMode { kWarm, kNetwork, kCold };
CacheMode cache_mode(std::string_view name);  // "warm", "network", "cold"; throws Error for another
std::string_view cache_mode_name(CacheMode mode);
// The job as that mode runs it. kNetwork is what job_of() makes of a component; kCold touches as much as the caches of
// the device hold, whatever that is.
Job with_caches(Job job, CacheMode mode);

// Builds the job, warms up and times it. With touch_bytes each run is timed alone, after so much other memory has been
// read and the input written anew; without, short jobs are repeated back to back (MeasureOptions::min_interval_us).
Reading take_reading(const Engine& engine, const Job& job, const MeasureOptions& options);

nlohmann::json reading_to_json(const Reading& reading);
Reading reading_from_json(const nlohmann::json& json, const std::string& where);

}  // namespace fdi::device
