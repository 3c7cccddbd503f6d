#include "bench/loader.h"

#include <fmt/core.h>

#include "datasets/loader.h"
#include "datasets/open.h"

namespace fdi::bench {

Report loader(const std::string& data, int batch, int workers, const device::MeasureOptions& timing) {
  const datasets::DatasetPtr images = datasets::open_dataset(datasets::locate(data).path, datasets::Split::kTrain);
  const datasets::LoaderOptions options{.batch = batch, .augment = {.pad_crop = 4, .flip = true}, .workers = workers};
  datasets::Loader source(images, datasets::compute_normalization(*images), options);
  uint64_t epoch = 0;
  const auto pass = [&] {
    source.start_epoch(++epoch);
    while (source.next() != nullptr) {
    }
  };
  const device::Timing t = device::measure(pass, timing);
  const double images_per_s = static_cast<double>(images->size()) / t.median_us * 1e6;
  Report report;
  report.json = to_json(t);
  report.json["conditions"] = conditions();
  report.json["source"] = images->source();
  report.json["examples"] = images->size();
  report.json["images_per_s"] = images_per_s;
  report.text =
      fmt::format("{}\n{:.0f} images/s (pad-crop 4, flip, normalised; batch {}, {} workers, spread {:.1f}%)\n",
                  images->source(), images_per_s, batch, workers, 100 * t.rel_mad);
  return report;
}

}  // namespace fdi::bench
