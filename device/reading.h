// One reading of the stopwatch as a profile takes it: the job's layers, the reference kernel timed around them, and how
// much of the processor the process really had. Runs on the device: called in-process or by the agent.
#pragma once
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "device/component.h"
#include "device/engine.h"
#include "device/measure.h"

namespace fdi::device {

// What a reading means: raised where times of before are not to be mixed with those of now. 2: the reference kernel is
// warm when it is timed. 3: layers that take turns stay in a cache together, images and all.
constexpr int kStopwatch = 3;

struct Reading {
  Timing total;                // of all networks in turn
  std::vector<Timing> layers;  // of each of components(job)
  double reference_us = 0;  // a fixed piece of work timed before, between and after: the clock's speed at that moment
  double cpu_share = 1;  // processor time / wall time of the calling thread during the runs; below 1: somebody else ran
};

// What lies in the caches when a layer begins: itself (run after run), what its network leaves there, or nothing.
enum class CacheMode { kWarm, kNetwork, kCold };
CacheMode cache_mode(std::string_view name);  // "warm", "network", "cold"; throws Error for another
std::string_view cache_mode_name(CacheMode mode);
// The job as that mode runs it, in one or more jobs with the same components in the same order: by itself each (warm);
// as it is (network); in turn, each after as much other memory as the device's caches hold, whatever that is (cold).
std::vector<Job> with_caches(const Job& job, CacheMode mode);

// Builds the networks, warms up and runs them in turn, round after round (measure_laps). Where there are several, or
// memory is touched before, each one's input is written anew, untimed: the layer before would have left it in the
// cache.
Reading take_reading(const Engine& engine, const Job& job, const MeasureOptions& options);

nlohmann::json reading_to_json(const Reading& reading);
Reading reading_from_json(const nlohmann::json& json, const std::string& where);

}  // namespace fdi::device
