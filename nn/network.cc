// Running a Network: the layers one after the other on memory that was planned (network_build.cc).
#include "nn/network.h"

#include "core/check.h"
#include "core/error.h"
#include "kernels/elementwise.h"
#include "kernels/isa.h"
#include "nn/network_impl.h"

namespace fdi::nn {

void Network::Impl::set_batch(int n) {
  if (n == current_batch) return;
  CHECK(n >= 1 && n <= batch);
  current_batch = n;
  output.shape[0] = n;
  if (want_input_gradient) input_gradient.shape[0] = n;
  for (Step& step : steps) {
    step.y.shape[0] = step.dy.shape[0] = n;
    for (Tensor& x : step.x) x.shape[0] = n;
    for (Tensor& dx : step.dx) dx.shape[0] = n;
    for (Step::Sum& sum : step.sums) sum.part.shape[0] = sum.total.shape[0] = n;
  }
}

void Network::Impl::check_layout() const {
  const int64_t now = kernels::isa_target();  // integers: this runs before every pass
  const kernels::GemmProvider provider = kernels::gemm_provider();
  if (now == isa && provider == gemm) return;
  const auto name = [](kernels::GemmProvider p) { return p == kernels::GemmProvider::kNative ? "native" : "openblas"; };
  core::fail_as(core::ErrorCode::kSystem,
                "network {} was built for {} with the {} matrix product, but {} with {} is in force; build it anew",
                spec.name, kernels::isa_name(isa), name(gemm), kernels::isa_name(now), name(provider));
}

Network::Network(const NetworkSpec& spec, Parameters& parameters, int batch, Mode mode, bool want_input_gradient)
    : impl_(std::make_unique<Impl>(spec, &parameters, batch, mode, want_input_gradient)) {}
Network::~Network() = default;

static Pass with_workspace(const Pass& pass, core::Arena& scratch, int threads) {
  Pass out = pass;
  scratch.rewind(0);
  const auto floats = static_cast<int64_t>(scratch.capacity() / sizeof(float));
  out.workspace = {reinterpret_cast<std::byte*>(scratch.floats(floats)), scratch.capacity(), threads};
  return out;
}

Tensor Network::forward(const Pass& pass) {
  Impl& n = *impl_;
  DCHECK(!pass.training || n.mode == Mode::kTraining);
  n.check_layout();
  n.set_batch(pass.batch);
  Pass run = with_workspace(pass, n.scratch, n.threads);
  for (const Step& step : n.steps) {
    run.layer = step.index;
    step.layer->forward(run, step.x, step.y);
    if (pass.after_layer != nullptr) (*pass.after_layer)(step.index);
  }
  return n.output;
}

void Network::backward(const Pass& pass, Tensor dy) {
  Impl& n = *impl_;
  CHECK(n.mode == Mode::kTraining && pass.batch == n.current_batch && dy.size() == n.output.size());
  n.check_layout();
  Pass run = with_workspace(pass, n.scratch, n.threads);
  if (n.output_root == 0 && n.want_input_gradient) kernels::copy(dy.size(), dy.data, n.input_gradient.data, n.threads);
  for (size_t s = n.steps.size(); s-- > 0;) {
    const Step& step = n.steps[s];
    if (!step.has_grad) continue;
    run.layer = step.index;
    const Tensor step_dy{step.index + 1 == n.output_root ? dy.data : step.dy.data, step.dy.shape};
    step.layer->backward(run, step.x, step.y, step_dy, step.dx);
    for (const Step::Sum& sum : step.sums)
      kernels::axpy(sum.part.size(), 1.0F, sum.part.data, sum.total.data, n.threads);
  }
}

Tensor Network::input() { return impl_->input; }
std::span<float> Network::gradients() { return impl_->gradients; }
Tensor Network::input_gradient() { return impl_->input_gradient; }
int Network::batch() const { return impl_->batch; }
const NetworkSpec& Network::spec() const { return impl_->spec; }

Network::Memory Network::memory() const { return impl_->sizes; }

Network::Memory Network::plan(const NetworkSpec& spec, int batch, Mode mode) {
  return Impl(spec, nullptr, batch, mode, false).sizes;
}

}  // namespace fdi::nn
