// make_seeds DIR: writes small valid files for the fuzz targets whose inputs are binary, DIR/<target>/<name>: the
// fuzzer starts from them instead of from nothing. Called by run.sh.
#include <cstdio>
#include <filesystem>

#include "core/file.h"
#include "nn/model_file.h"
#include "nn/zoo.h"
#include "tests/datasets/encoders.h"
#include "tests/profile/samples.h"

namespace {

using fdi::datasets::Bytes;

void write(const std::filesystem::path& path, const Bytes& bytes) {
  std::filesystem::create_directories(path.parent_path());
  fdi::core::write_file_atomically(path.string(), {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

// The image target reads the size to decode for from the first byte.
Bytes image_input(const Bytes& image) {
  Bytes out{8};
  out.insert(out.end(), image.begin(), image.end());
  return out;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "make_seeds DIR\n");
    return 2;
  }
  using namespace fdi::datasets;
  const std::filesystem::path dir = argv[1];
  const Bytes jpeg = make_jpeg(9, 7, ramp(9, 7, 3)), grey = make_jpeg(9, 7, ramp(9, 7, 1), JCS_GRAYSCALE);
  const Bytes png = make_png(9, 7, ramp(9, 7, 3));
  write(dir / "image/colour.jpg", image_input(jpeg));
  write(dir / "image/grey.jpg", image_input(grey));
  write(dir / "image/cmyk.jpg", image_input(make_jpeg(9, 7, ramp(9, 7, 4), JCS_CMYK)));
  write(dir / "image/progressive.jpg", image_input(make_jpeg(9, 7, ramp(9, 7, 3), JCS_RGB, {}, true)));
  const Bytes exif{'E',  'x', 'i', 'f', 0, 0, 'I', 'I', 42, 0, 8, 0, 0, 0, 1, 0,  // one entry: orientation 6
                   0x12, 1,   3,   0,   1, 0, 0,   0,   6,  0, 0, 0, 0, 0, 0, 0};
  write(dir / "image/exif.jpg", image_input(make_jpeg(8, 8, ramp(8, 8, 3), JCS_RGB, exif)));
  write(dir / "image/colour.png", image_input(png));
  write(dir / "image/palette.png", image_input(make_png(9, 7, ramp(9, 7, 1), PNG_COLOR_TYPE_PALETTE)));
  write(dir / "image/alpha.png", image_input(make_png(9, 7, ramp(9, 7, 2), PNG_COLOR_TYPE_GRAY_ALPHA)));
  write(dir / "image/interlaced.png", image_input(make_png(9, 7, ramp(9, 7, 3), PNG_COLOR_TYPE_RGB, 8, true)));
  const Files images{{"train/cat/1.jpg", jpeg}, {"train/dog/2.png", png}};
  write(dir / "tar/images.tar", make_tar(images));
  write(dir / "tar/images.tar.gz", make_tar(images, ARCHIVE_FILTER_GZIP));
  write(dir / "tar/images.tar.xz", make_tar(images, ARCHIVE_FILTER_XZ));
  write(dir / "tar/cifar.tar", make_tar({{"cifar-10-batches-bin/test_batch.bin", make_cifar(2)}}));

  const std::filesystem::path model = dir / "model_file/lenet.safetensors";
  std::filesystem::create_directories(model.parent_path());
  const fdi::nn::NetworkSpec spec = fdi::nn::make_zoo("lenet", {.width = 0.1, .classes = 2, .input = {16, 16, 3}});
  fdi::nn::Parameters parameters(spec);
  parameters.initialize(1);
  fdi::nn::save_model(model.string(), spec, parameters, {{"classes", "cat,dog"}});

  namespace profile = fdi::profile;
  const fdi::device::Timing time{.min_us = 1, .median_us = 2, .mean_us = 3, .rel_mad = 0.1, .runs = 20};
  const profile::SampleSet samples{profile::test_device(),
                                   {{profile::conv(8, 3, 4), time, {1, 2}},
                                    {profile::component(fdi::nn::Op::kAdd, {{8, 8, 4}, {8, 8, 4}}), time, {2}},
                                    {profile::component(fdi::nn::Op::kGru, {{8, 4}}, 3), time, {}}}};
  std::filesystem::create_directories(dir / "samples_csv");
  profile::write_samples_csv((dir / "samples_csv/samples.csv").string(), samples);
}
