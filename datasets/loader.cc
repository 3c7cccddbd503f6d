// A ring of preallocated batches. Batch b lives in slot b % queue; workers claim batch numbers in order, at most
// `queue` ahead of the one that the consumer holds.
#include "datasets/loader.h"

#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <numeric>
#include <system_error>
#include <thread>
#include <vector>

#include "core/arena.h"
#include "core/error.h"

namespace fdi::datasets {
namespace {

constexpr int kNice = 5;  // below the compute threads, which otherwise wait for one another at every barrier

void lower_priority_of_this_thread() {
  // On Linux a thread has its own nice value; a refusal costs speed only.
  ::setpriority(PRIO_PROCESS, static_cast<id_t>(::syscall(SYS_gettid)), kNice);
}

}  // namespace

struct Loader::Impl {
  struct Slot {
    core::Arena block;
    float* images = nullptr;
    std::vector<int> labels;
    Batch batch;
    std::exception_ptr error;
    bool ready = false;
  };

  DatasetPtr dataset;
  Normalization normalization;
  LoaderOptions options;
  core::Shape shape;
  int64_t batch_count = 0;

  std::mutex mutex;  // guards all below but `stop`, and the fields of slots that are not being filled
  std::condition_variable work, done;
  std::atomic<bool> stop{false};  // read by workers between images
  bool quit = false;
  uint64_t epoch = 0;
  int64_t claimed = 0, consumed = 0;  // batch numbers: the next to make, the next to hand out
  bool held = false;                  // the consumer holds batch consumed - 1
  int busy = 0;
  std::vector<int64_t> order;
  std::vector<Slot> slots;
  std::vector<std::jthread> threads;

  bool may_claim() const {
    return !stop && claimed < batch_count && claimed < consumed - (held ? 1 : 0) + static_cast<int64_t>(slots.size());
  }

  void fill(Slot& slot, int64_t number, Augmenter& augmenter, std::vector<uint8_t>& pixels) {
    const int64_t begin = number * options.batch;
    const auto size = static_cast<int>(std::min<int64_t>(options.batch, dataset->size() - begin));
    const bool augment = options.augment != Augmentation{};
    for (int i = 0; i < size && !stop; ++i) {
      const int64_t index = options.shuffle ? order[begin + i] : begin + i;
      dataset->image(index, pixels);
      float* out = slot.images + i * shape.size();
      if (augment)
        augmenter.apply(pixels, core::Rng(options.seed, core::Stream::kAugment, epoch, index), out);
      else
        augmenter.convert(pixels, out);
      slot.labels[i] = dataset->label(index);
    }
    slot.batch = {{slot.images, core::with_batch(size, shape)}, {slot.labels.data(), static_cast<size_t>(size)}, size};
  }

  void run() {
    lower_priority_of_this_thread();
    Augmenter augmenter(shape, normalization, options.augment);
    std::vector<uint8_t> pixels(static_cast<size_t>(shape.size()));
    std::unique_lock lock(mutex);
    while (true) {
      work.wait(lock, [&] { return quit || may_claim(); });
      if (quit) return;
      const int64_t number = claimed++;
      Slot& slot = slots[number % slots.size()];
      slot.ready = false;
      slot.error = nullptr;
      ++busy;
      lock.unlock();
      std::exception_ptr error;
      try {
        fill(slot, number, augmenter, pixels);
      } catch (...) {
        error = std::current_exception();
      }
      lock.lock();
      slot.error = error;
      slot.ready = true;
      --busy;
      done.notify_all();
    }
  }

  void halt(std::unique_lock<std::mutex>& lock) {  // afterwards no worker touches a slot
    stop = true;
    done.wait(lock, [&] { return busy == 0; });
  }
};

Loader::Loader(DatasetPtr dataset, const Normalization& normalization, const LoaderOptions& options)
    : impl_(std::make_unique<Impl>()) {
  if (options.batch < 1 || options.batch > 65536) core::fail("batch {}: wanted 1 to 65536", options.batch);
  if (options.workers < 1 || options.workers > 256) core::fail("loader workers {}: wanted 1 to 256", options.workers);
  if (options.queue < 1 || options.queue > 1024) core::fail("loader queue {}: wanted 1 to 1024", options.queue);
  if (dataset->size() < 1) core::fail("{}: holds no examples", dataset->source());
  if (dataset->size() >= int64_t{1} << 32) core::fail("{}: holds 2^32 examples or more", dataset->source());
  Impl& m = *impl_;
  m.dataset = std::move(dataset);
  m.normalization = normalization;
  m.options = options;
  m.shape = m.dataset->image_shape();
  const int64_t n = m.dataset->size(), batch = options.batch;
  m.batch_count = options.drop_last ? n / batch : (n + batch - 1) / batch;
  if (m.batch_count == 0)
    core::fail("{}: its {} examples make no full batch of {}; use a smaller batch", m.dataset->source(), n, batch);
  const Augmenter checked(m.shape, normalization, options.augment);  // throws here for bad options, not in a worker
  m.claimed = m.consumed = m.batch_count;                            // nothing to do before start_epoch
  const int64_t most = std::min<int64_t>(options.batch, n);
  m.slots.resize(static_cast<size_t>(options.queue) + 1);  // one is with the consumer
  for (auto& slot : m.slots) {
    slot.block = core::Arena(core::Arena::padded_bytes(most * m.shape.size()));
    slot.images = slot.block.floats(most * m.shape.size());
    slot.labels.resize(static_cast<size_t>(most));
  }
  try {
    for (int i = 0; i < options.workers; ++i) m.threads.emplace_back([&m] { m.run(); });
  } catch (const std::system_error&) {  // no more threads are allowed: fewer make the same batches
    if (m.threads.empty()) throw;
  }
}

Loader::~Loader() {
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->stop = true;
    impl_->quit = true;
  }
  impl_->work.notify_all();
  impl_->threads.clear();  // joins
}

int64_t Loader::batches() const { return impl_->batch_count; }

int64_t Loader::examples() const { return std::min(impl_->dataset->size(), impl_->batch_count * impl_->options.batch); }

void Loader::start_epoch(uint64_t epoch, int64_t first_batch) {
  Impl& m = *impl_;
  if (first_batch < 0 || first_batch > m.batch_count)
    core::fail("first batch {}: wanted 0 to {} of this epoch", first_batch, m.batch_count);
  std::unique_lock lock(m.mutex);
  m.halt(lock);
  m.epoch = epoch;
  if (m.options.shuffle) {
    m.order.resize(static_cast<size_t>(m.dataset->size()));
    std::iota(m.order.begin(), m.order.end(), int64_t{0});
    core::Rng(m.options.seed, core::Stream::kShuffle, epoch).shuffle(m.order.begin(), m.order.end());
  }
  for (auto& slot : m.slots) slot.ready = false;
  m.claimed = m.consumed = first_batch;
  m.held = false;
  m.stop = false;
  m.work.notify_all();
}

const Batch* Loader::next() {
  Impl& m = *impl_;
  std::unique_lock lock(m.mutex);
  m.held = false;  // the batch handed out before is free now
  m.work.notify_all();
  if (m.consumed >= m.batch_count) return nullptr;
  Impl::Slot& slot = m.slots[m.consumed % m.slots.size()];
  m.done.wait(lock, [&] { return slot.ready; });
  slot.ready = false;
  ++m.consumed;
  m.held = true;
  if (slot.error) std::rethrow_exception(slot.error);
  return &slot.batch;
}

}  // namespace fdi::datasets
