// Any bytes as an archive of images and of CIFAR-10 files: only core::Error may come out.
#include <cstddef>
#include <cstdint>
#include <functional>

#include "core/error.h"
#include "core/threads.h"
#include "datasets/archive.h"
#include "datasets/cifar_binary.h"
#include "datasets/image_set.h"

namespace {

using fdi::datasets::Split;

bool refused(const std::function<void()>& read) {
  try {
    read();
    return false;
  } catch (const fdi::core::Error&) {
    return true;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fdi::core::set_threads(1);
  // What passes tight limits goes on to the readers, whose own generous limits would take too long here.
  fdi::datasets::ArchiveLimits limits;
  limits.member_bytes = 1 << 20;
  limits.total_bytes = 4 << 20;
  const fdi::datasets::Source archive({data, size}, "train.tar");
  if (refused([&] { for_each_member(archive, limits, [](const auto& member) { member.read(); }); })) return 0;
  fdi::datasets::ImageOptions options;
  options.memory_bytes = 1 << 20;
  options.height = options.width = 8;
  refused([&] { open_image_archive(archive, Split::kTrain, options); });
  refused([&] { fdi::datasets::open_cifar_archive(archive, Split::kTest); });
  return 0;
}
