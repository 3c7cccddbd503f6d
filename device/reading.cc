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
#include "nn/layer.h"

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

// What happens around the timed runs: the reference kernel, and how long the thread really ran.
class Surroundings {
 public:
  explicit Surroundings(int threads) : threads_(threads) {
    for (int i = 0; i < 3; ++i) reference();
  }
  void begin_round() {
    if (steady_clock_us() - last_reference_us_ >= kReferenceEveryUs) reference();
    processor_start_ = thread_seconds();  // outside of the wall's time: a system call is long beside a short run
    wall_start_us_ = steady_clock_us();
  }
  void end_round() {
    wall_us_ += steady_clock_us() - wall_start_us_;
    processor_us_ += (thread_seconds() - processor_start_) * 1e6;
  }
  void finish(Reading& reading) {
    for (int i = 0; i < 3; ++i) reference();
    reading.reference_us = median(references_);
    reading.cpu_share = wall_us_ > 0 ? std::min(1.0, processor_us_ / wall_us_) : 1.0;
  }

 private:
  static constexpr double kReferenceEveryUs = 1000;

  void reference() {
    references_.push_back(time_reference_us(threads_));
    last_reference_us_ = steady_clock_us();
  }

  int threads_;
  std::vector<double> references_;
  double last_reference_us_ = 0;
  double wall_start_us_ = 0, processor_start_ = 0;
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

std::vector<Job> with_caches(const Job& job, CacheMode mode) {
  if (mode == CacheMode::kNetwork) return {job};
  const std::vector<Component> all = components(job);
  std::vector<Job> jobs;
  if (mode == CacheMode::kWarm) {
    for (const Component& component : all) jobs.push_back(job_of(std::span(&component, 1)));
  } else {
    jobs.push_back(job_of(all));
    jobs[0].touch_bytes = kTouchAll;
  }
  return jobs;
}

namespace {

// A network of the job, ready to run, and where the laps of its layers go: to the component of the layer, those of a
// mere change of shape to the layer before it.
struct Turn {
  std::unique_ptr<Prepared> prepared;
  std::vector<int> part;  // by layer
};

Turn make_turn(const Engine& engine, const nn::NetworkSpec& network, bool plain_ends, int first_part) {
  nn::Parameters parameters(network);
  fill_weights(parameters);
  Turn turn{engine.prepare(network, parameters, plain_ends), {}};
  fill(turn.prepared->input(), 1.0F);
  int next = first_part;
  for (const nn::LayerSpec& layer : network.layers) {
    if (!nn::op_info(layer.op).alias) ++next;
    turn.part.push_back(std::max(first_part, next - 1));
  }
  return turn;
}

}  // namespace

Reading take_reading(const Engine& engine, const Job& job, const MeasureOptions& options) {
  std::vector<Turn> turns;
  int parts = 0;
  for (const nn::NetworkSpec& network : job.networks) {
    turns.push_back(make_turn(engine, network, job.plain_ends, parts));
    parts = turns.back().part.back() + 1;
  }

  const core::PinnedThreads pinned;  // after prepare: an engine's own threads are free to go where nothing runs
  const int64_t touch_bytes = std::min(job.touch_bytes, all_caches());
  // OpenMP's threads go on spinning for a while after their work, which suits an engine that runs on them, as they
  // would be awake within a network, and would disturb one that has its own.
  const int threads = engine.own_threads() ? 1 : core::threads();
  const bool fresh_inputs = touch_bytes > 0 || turns.size() > 1;
  Surroundings surroundings(threads);
  const auto round = [&](const Lap& lap) {
    surroundings.begin_round();
    for (Turn& turn : turns) {
      if (touch_bytes > 0) touch(touch_bytes, threads);
      if (fresh_inputs) fill(turn.prepared->input(), 1.0F);
      const AfterLayer after = [&](int layer) { lap(turn.part[static_cast<size_t>(layer)]); };
      lap(kUntimed);
      turn.prepared->run(&after);
    }
    surroundings.end_round();
  };
  Laps laps = measure_laps(round, parts, options);
  Reading reading{.total = laps.total, .layers = std::move(laps.parts)};
  surroundings.finish(reading);
  return reading;
}

namespace {

nlohmann::json timing_to_json(const Timing& t) {
  return {{"min_us", t.min_us},
          {"median_us", t.median_us},
          {"mean_us", t.mean_us},
          {"rel_mad", t.rel_mad},
          {"runs", t.runs}};
}

constexpr double kMaxUs = 1e12;  // eleven days

Timing timing_from_json(const nlohmann::json& json, const std::string& where) {
  Timing t;
  t.min_us = number_member(json, "min_us", 0, kMaxUs, where);
  t.median_us = number_member(json, "median_us", 0, kMaxUs, where);
  t.mean_us = number_member(json, "mean_us", 0, kMaxUs, where);
  t.rel_mad = number_member(json, "rel_mad", 0, kMaxUs, where);
  t.runs = int_member(json, "runs", 1, 1 << 30, where);
  return t;
}

}  // namespace

nlohmann::json reading_to_json(const Reading& r) {
  nlohmann::json layers = nlohmann::json::array();
  for (const Timing& t : r.layers) layers.push_back(timing_to_json(t));
  return {{"total", timing_to_json(r.total)},
          {"layers", std::move(layers)},
          {"reference_us", r.reference_us},
          {"cpu_share", r.cpu_share}};
}

Reading reading_from_json(const nlohmann::json& json, const std::string& where) {
  Reading r;
  r.total = timing_from_json(member(json, "total", where), where);
  const nlohmann::json& layers = member(json, "layers", where);
  if (!layers.is_array() || layers.empty()) core::fail("{}: \"layers\" is no list of timings", where);
  for (const nlohmann::json& layer : layers) r.layers.push_back(timing_from_json(layer, where));
  r.reference_us = number_member(json, "reference_us", 0, kMaxUs, where);
  r.cpu_share = number_member(json, "cpu_share", 0, 1, where);
  if (r.total.min_us <= 0 || r.reference_us <= 0)
    core::fail("{}: a time of 0 us: the device's clock is too coarse or stands still", where);
  return r;
}

}  // namespace fdi::device
