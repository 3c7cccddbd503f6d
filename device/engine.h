// Engines under test: somebody's kernels behind one small interface. Each prepares a network with layouts and weights
// of its own choice; only run() is timed. Nothing about an engine's inside is known to the profile or the time model.
#pragma once
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "nn/network.h"
#include "nn/spec.h"

namespace fdi::device {

using AfterLayer = std::function<void(int layer)>;

// A network ready to run, on as many threads as core::threads() was when it was prepared.
class Prepared {
 public:
  virtual ~Prepared() = default;
  virtual std::span<float> input() = 0;         // plain ends: (batch, input shape) in NHWC; keeps its values over runs
  virtual std::span<const float> output() = 0;  // after run()
  void run() { run(nullptr); }
  // Calls *after with the index of each layer in the spec once it has run; layers that only change a shape may be left
  // out. What an engine does between layers (another layout) belongs to the layer that needs it.
  virtual void run(const AfterLayer* after) = 0;
};

class Engine {
 public:
  virtual ~Engine() = default;
  virtual std::string name() const = 0;     // "native", "onednn", "xnnpack"
  virtual std::string version() const = 0;  // "2.6.3"
  virtual bool supports(nn::Op op) const = 0;
  virtual bool own_threads() const { return false; }  // a thread pool beside OpenMP's
  // `fused`: see nn/fuse.h. Throws Error for an op it does not have. The weights may be freed afterwards.
  virtual std::unique_ptr<Prepared> prepare(const nn::NetworkSpec& fused, nn::Parameters& parameters, bool plain_ends,
                                            int batch = 1) const = 0;
};

// Throws Error for an unknown name (the known ones are listed) and for one that was not built in (names the package).
std::unique_ptr<Engine> make_engine(std::string_view name);
std::vector<std::string> engine_names();  // of those that were built in, native first

}  // namespace fdi::device
