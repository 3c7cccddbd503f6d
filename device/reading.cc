// take_reading: weights, input, caches, warm-up, runs. And readings as JSON.
#include "device/reading.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <ctime>
#include <functional>
#include <limits>

#include "core/arena.h"
#include "core/cpu.h"
#include "core/error.h"
#include "core/rng.h"
#include "core/threads.h"
#include "device/json.h"
#include "device/reference.h"

namespace fdi::device {
namespace {

constexpr int64_t kTouchAll = std::numeric_limits<int64_t>::max();

// Values that no arithmetic turns into denormals or infinities; which ones does not matter to the time. Drawing each
// weight of a large layer would take longer than timing it.
constexpr size_t kPattern = 256;
const std::array<float, kPattern>& pattern() {
  static const std::array<float, kPattern> values = [] {
    std::array<float, kPattern> drawn{};
    core::Rng rng(1, core::Stream::kInit);
    for (float& v : drawn) v = rng.uniform(-1.0F, 1.0F);
    return drawn;
  }();
  return values;
}

void fill(std::span<float> out, float scale) {
  for (size_t i = 0; i < out.size(); ++i) out[i] = scale * pattern()[i % kPattern];
}

// Products of a layer keep the size of its input: deep networks neither vanish nor explode.
void fill_weights(nn::Parameters& parameters) {
  for (const nn::Parameters::Entry& entry : parameters.entries()) {
    const std::span<float> values = parameters.tensor(entry).span();
    if (entry.spec.init == nn::Init::kOnes)
      std::fill(values.begin(), values.end(), 1.0F);
    else if (entry.spec.init != nn::Init::kZeros)
      fill(values, std::sqrt(3.0F / static_cast<float>(entry.spec.fan_in)));
  }
}

// Reads `bytes` of memory that no layer uses, as the rest of a network would between two runs of a layer.
void touch(int64_t bytes, int threads) {
  static core::Arena block;
  if (bytes > static_cast<int64_t>(block.capacity())) block = core::Arena(static_cast<size_t>(bytes));
  const auto floats = bytes / static_cast<int64_t>(sizeof(float));
  block.rewind(0);
  const float* data = block.floats(floats);
  constexpr int64_t kLine = 16;  // floats of a cache line
  float sum = 0;
#pragma omp parallel for schedule(static) num_threads(threads) reduction(+ : sum) if (threads > 1)
  for (int64_t i = 0; i < floats; i += kLine) sum += data[i];
  asm volatile("" : : "r"(&sum) : "memory");  // the sum counts as read
}

double thread_seconds() {
  timespec t{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
}

// What happens around the timed runs: the reference kernel, the caches, and how long the thread really ran.
class Surroundings {
 public:
  Surroundings(Prepared& prepared, int64_t touch_bytes, int touch_threads)
      : prepared_(prepared), touch_bytes_(touch_bytes), touch_threads_(touch_threads) {
    for (int i = 0; i < 3; ++i) reference();
  }
  // Before each timed interval.
  void operator()() {
    end_interval();
    if (steady_clock_us() - last_reference_us_ >= kReferenceEveryUs) reference();
    if (touch_bytes_ > 0) {
      touch(touch_bytes_, touch_threads_);
      fill(prepared_.input(), 1.0F);
    }
    processor_start_ = thread_seconds();  // outside of the wall's time: a system call is long beside a short run
    wall_start_us_ = steady_clock_us();
  }
  void finish(Reading& reading) {
    end_interval();
    for (int i = 0; i < 3; ++i) reference();
    reading.reference_us = median(references_);
    reading.cpu_share = wall_us_ > 0 ? std::min(1.0, processor_us_ / wall_us_) : 1.0;
  }

 private:
  static constexpr double kReferenceEveryUs = 1000;

  void reference() {
    references_.push_back(time_reference_us());
    last_reference_us_ = steady_clock_us();
  }
  void end_interval() {
    if (wall_start_us_ == 0) return;
    wall_us_ += steady_clock_us() - wall_start_us_;
    processor_us_ += (thread_seconds() - processor_start_) * 1e6;
    wall_start_us_ = 0;
  }

  Prepared& prepared_;
  int64_t touch_bytes_;
  int touch_threads_;
  std::vector<double> references_;
  double last_reference_us_ = 0;
  double wall_start_us_ = 0, processor_start_ = 0;  // 0: no interval is open
  double wall_us_ = 0, processor_us_ = 0;
};

// Of memory that leaves nothing of a layer in the caches of this device.
int64_t all_caches() {
  const core::CpuInfo& cpu = core::cpu_info();
  constexpr int64_t kAtLeast = int64_t{8} << 20;  // phones have caches behind those that they tell
  return std::max<int64_t>(kAtLeast, 2 * static_cast<int64_t>(cpu.l2_bytes + cpu.l3_bytes));
}

}  // namespace

CacheMode cache_mode(std::string_view name) {
  for (const CacheMode mode : {CacheMode::kWarm, CacheMode::kNetwork, CacheMode::kCold})
    if (name == cache_mode_name(mode)) return mode;
  core::fail("caches \"{}\": wanted warm, network or cold", name);
}

std::string_view cache_mode_name(CacheMode mode) {
  return mode == CacheMode::kWarm ? "warm" : mode == CacheMode::kCold ? "cold" : "network";
}

Job with_caches(Job job, CacheMode mode) {
  if (mode != CacheMode::kNetwork) job.touch_bytes = mode == CacheMode::kWarm ? 0 : kTouchAll;
  return job;
}

Reading take_reading(const Engine& engine, const Job& job, const MeasureOptions& options) {
  nn::Parameters parameters(job.network);
  fill_weights(parameters);
  const std::unique_ptr<Prepared> prepared = engine.prepare(job.network, parameters, job.plain_ends);
  fill(prepared->input(), 1.0F);

  const core::PinnedThreads pinned;  // after prepare: an engine's own threads are free to go where nothing runs
  const int64_t touch_bytes = std::min(job.touch_bytes, all_caches());
  MeasureOptions how = options;
  if (touch_bytes > 0) how.min_interval_us = 0;  // one run at a time
  // OpenMP's threads go on spinning for a while after the touching, which suits an engine that runs on them, as they
  // would be awake within a network, and would disturb one that has its own.
  Surroundings surroundings(*prepared, touch_bytes, engine.own_threads() ? 1 : core::threads());
  Reading reading;
  reading.time = measure([&] { prepared->run(); }, how, steady_clock_us, std::ref(surroundings));
  surroundings.finish(reading);
  return reading;
}

nlohmann::json reading_to_json(const Reading& r) {
  return {{"min_us", r.time.min_us},   {"median_us", r.time.median_us}, {"mean_us", r.time.mean_us},
          {"rel_mad", r.time.rel_mad}, {"runs", r.time.runs},           {"reference_us", r.reference_us},
          {"cpu_share", r.cpu_share}};
}

Reading reading_from_json(const nlohmann::json& json, const std::string& where) {
  constexpr double kMaxUs = 1e12;  // eleven days
  Reading r;
  r.time.min_us = number_member(json, "min_us", 0, kMaxUs, where);
  r.time.median_us = number_member(json, "median_us", 0, kMaxUs, where);
  r.time.mean_us = number_member(json, "mean_us", 0, kMaxUs, where);
  r.time.rel_mad = number_member(json, "rel_mad", 0, kMaxUs, where);
  r.time.runs = int_member(json, "runs", 1, 1 << 30, where);
  r.reference_us = number_member(json, "reference_us", 0, kMaxUs, where);
  r.cpu_share = number_member(json, "cpu_share", 0, 1, where);
  if (r.time.min_us <= 0 || r.reference_us <= 0)
    core::fail("{}: a time of 0 us: the device's clock is too coarse or stands still", where);
  return r;
}

}  // namespace fdi::device
