// `fastdeepiot data`: what a data set holds, and how to get one.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/images.h"
#include "cli/options.h"
#include "cli/terminal.h"
#include "core/error.h"
#include "core/progress.h"
#include "datasets/download.h"
#include "datasets/statistics.h"
#include "datasets/subset.h"

namespace fdi::cli {
namespace {

struct DataFlags {
  CommonOptions common;
  std::string data = "cifar10";
  int image_size = 0;
};

struct DownloadFlags {
  CommonOptions common;
  std::string name = "cifar10", to;
};

nlohmann::json to_json(const datasets::Description& d) {
  nlohmann::json classes = nlohmann::json::array();
  for (const auto& [name, examples] : d.per_class) classes.push_back({{"name", name}, {"examples", examples}});
  return {{"source", d.source},
          {"examples", d.examples},
          {"image_shape", {d.image_shape[0], d.image_shape[1], d.image_shape[2]}},
          {"bytes", d.bytes},
          {"classes", classes},
          {"mean", d.normalization.mean},
          {"stddev", d.normalization.stddev},
          {"warnings", d.warnings}};
}

void show_data(const DataFlags& flags) {
  const datasets::Located located = datasets::locate(flags.data);
  print(flags.common, "data: " + located.path + " (" + located.how + ")\n");
  nlohmann::json result = {{"path", located.path}, {"found", located.how}};
  std::vector<std::string> classes;  // of the training images
  for (const datasets::Split split : {datasets::Split::kTrain, datasets::Split::kTest}) {
    const bool train = split == datasets::Split::kTrain;
    if (!datasets::has_split(located.path, split) &&
        datasets::has_split(located.path, train ? datasets::Split::kTest : datasets::Split::kTrain)) {
      print(flags.common, train ? "\nno training images\n" : "\nno test images\n");
      continue;
    }
    auto images = datasets::open_dataset(located.path, split, image_options(flags.image_size));
    if (!train && !classes.empty()) try {
        images = datasets::with_classes(images, classes, "the training images");
      } catch (const core::Error& e) {  // training would refuse them; they can still be looked at
        note("warning: {}", e.what());
      }
    const datasets::Description description = datasets::describe(*images);
    print(flags.common, "\n" + datasets::to_text(description));
    result[train ? "train" : "test"] = to_json(description);
    if (train) classes = images->classes();
  }
  write_result(flags.common, result);
}

void download(const DownloadFlags& flags) {
  const datasets::DownloadSource source = datasets::find_download(flags.name);
  const std::string folder = flags.to.empty() ? datasets::default_download_folder(flags.name) : flags.to;
  core::Progress progress;
  const double begin = core::monotonic_seconds();
  const auto show = [&](int64_t done, int64_t all) {
    const double mb = static_cast<double>(done) / 1e6;
    progress.update(all > 0 ? fmt::format("{}: {:.1f} of {:.1f} MB", source.file, mb, static_cast<double>(all) / 1e6)
                            : fmt::format("{}: {:.1f} MB", source.file, mb));
  };
  note("downloading {}", source.url);
  const std::string file = datasets::download(source, folder, show);
  progress.finish(
      fmt::format("{}: checksum right, {}", source.file, core::format_duration(core::monotonic_seconds() - begin)));
  print(flags.common, file + "\n");
  write_result(flags.common, {{"name", source.name}, {"file", file}, {"url", source.url}, {"md5", source.md5}});
}

}  // namespace

void add_data(CLI::App& app) {
  CLI::App* data = app.add_subcommand("data", "Show what a data set holds, or download one");
  data->require_subcommand(1);
  data->footer(
      "A data set is named (cifar10: looked for in $FASTDEEPIOT_DATA, ../shared/data and ~/.cache/fastdeepiot), given\n"
      "by its path, or 'synthetic'. A path may be a folder with train/<class>/*.jpg and test/ or val/ likewise, the "
      "same\n"
      "in train.tar[.gz|.xz] and test.tar[...], tiny-imagenet-200's own layout, or CIFAR-10's official binary files "
      "or\n"
      "archive. Hidden folders (.name) are no classes; where test/ has no class folders, val/ is taken.\n\n"
      "Example:\n  fastdeepiot data info --data cifar10\n  fastdeepiot data download cifar10");

  const auto f = std::make_shared<DataFlags>();
  CLI::App* show = data->add_subcommand("info", "Count the images of every class, and measure mean and deviation");
  show->add_option("--data", f->data, "Name or path")->type_name("NAME|PATH")->capture_default_str();
  show->add_option("--image-size", f->image_size, "Fit every image to N x N; needed where their sizes differ")
      ->type_name("N");
  show->footer("Example:\n  fastdeepiot data info --data synthetic --json info.json");
  add_common(*show, f->common, [f] { show_data(*f); });

  const auto d = std::make_shared<DownloadFlags>();
  CLI::App* get = data->add_subcommand("download", "Fetch a data set from its authors; goes on where it was cut off");
  get->add_option("name", d->name, "cifar10")->type_name("NAME")->capture_default_str();
  get->add_option("--to", d->to, "Folder for it; ~/.cache/fastdeepiot/NAME unless given, where --data NAME finds it")
      ->type_name("DIR");
  get->footer(
      "FASTDEEPIOT_URL, where set, replaces the address (a mirror).\n\n"
      "Example:\n  fastdeepiot data download cifar10 --to sets/cifar10");
  add_common(*get, d->common, [d] { download(*d); });
}

}  // namespace fdi::cli
