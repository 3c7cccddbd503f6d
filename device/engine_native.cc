// Our own kernels as an engine under test: nn::Network as inference runs it, on the ISA in force. NHWC is its own
// layout, so that the ends are always plain.
#include "device/engine.h"
#include "device/version.h"

namespace fdi::device {
namespace {

class NativeNetwork final : public Prepared {
 public:
  NativeNetwork(const nn::NetworkSpec& fused, nn::Parameters& parameters, int batch)
      : network_(fused, parameters, batch, nn::Mode::kInference) {
    pass_.batch = batch;
  }
  std::span<float> input() override { return network_.input().span(); }
  std::span<const float> output() override { return y_; }
  void run(const AfterLayer* after) override {
    pass_.after_layer = after;
    y_ = network_.forward(pass_).span();
  }

 private:
  nn::Network network_;
  nn::Pass pass_;
  std::span<const float> y_;
};

class Native final : public Engine {
 public:
  std::string name() const override { return "native"; }
  std::string version() const override { return kernels_version(); }
  bool supports(nn::Op) const override { return true; }
  std::unique_ptr<Prepared> prepare(const nn::NetworkSpec& fused, nn::Parameters& parameters, bool /*plain_ends*/,
                                    int batch) const override {
    return std::make_unique<NativeNetwork>(fused, parameters, batch);
  }
};

}  // namespace

std::unique_ptr<Engine> native_engine() { return std::make_unique<Native>(); }

}  // namespace fdi::device
