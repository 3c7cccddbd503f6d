// `fastdeepiot eval`: how good a trained model is on labelled images, class by class.
#include <CLI/CLI.hpp>
#include <cmath>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/class_table.h"
#include "cli/commands.h"
#include "cli/images.h"
#include "cli/options.h"
#include "core/error.h"
#include "core/progress.h"
#include "nn/evaluate.h"
#include "nn/model_file.h"

namespace fdi::cli {
namespace {

struct EvalFlags {
  CommonOptions common;
  std::string model, data = "cifar10";
  int batch = 128;
  int64_t limit = 0;
};

void eval(const EvalFlags& flags) {
  if (flags.batch < 1) core::fail("--batch {}: wanted 1 or more", flags.batch);
  if (flags.limit < 0) core::fail("--limit {}: wanted 0 (all) or more", flags.limit);
  const nn::Model model = nn::load_model(flags.model);
  const ImageFacts facts = image_facts(model.metadata, flags.model);
  const datasets::Located located = datasets::locate(flags.data);
  const auto all = datasets::open_dataset(located.path, datasets::Split::kTest, image_options(facts.image_size));
  const auto images = take(fit_to_model(all, facts, model.spec.input, flags.model), flags.limit);
  announce(*images, located.how);

  datasets::LoaderOptions options;
  options.batch = flags.batch;
  options.shuffle = false;
  LoaderSource source(images, facts.normalization, options);
  core::Progress progress;
  const nn::Evaluation e = nn::evaluate(model.spec, model.parameters, flags.batch, source, &progress);
  if (!std::isfinite(e.loss))
    core::fail("{}: the loss on {} is {}: its weights are ruined; train again with a lower --lr", flags.model,
               images->source(), e.loss);
  progress.finish(fmt::format("evaluated {} on {}", flags.model, images->source()));
  const bool many = e.classes > 10;  // of ten classes, five answers are half of all
  const std::string top5 = many ? fmt::format(" (top 5: {:.2f}%)", 100 * e.accuracy_top5()) : "";
  print(flags.common, fmt::format("{}\naccuracy {:.2f}%{}, loss {:.4f}, {} images\n", class_table(e, images->classes()),
                                  100 * e.accuracy(), top5, e.loss, e.examples));
  nlohmann::json result = {{"accuracy", e.accuracy()},
                           {"loss", e.loss},
                           {"examples", e.examples},
                           {"data", images->source()},
                           {"classes", classes_to_json(e, images->classes())}};
  if (many) result["accuracy_top5"] = e.accuracy_top5();
  write_result(flags.common, result);
}

}  // namespace

void add_eval(CLI::App& app) {
  CLI::App* command = app.add_subcommand("eval", "Measure a model's accuracy, class by class");
  const auto flags = std::make_shared<EvalFlags>();
  command->add_option("--model", flags->model, "The model file")->type_name("FILE")->required();
  command->add_option("--data", flags->data, "Test images: a name or a path; see 'fastdeepiot data --help'")
      ->type_name("NAME|PATH")
      ->capture_default_str();
  command->add_option("--batch", flags->batch, "Images per step; changes the speed only")
      ->type_name("N")
      ->capture_default_str();
  command->add_option("--limit", flags->limit, "Take only N images, drawn at random; 0: all")
      ->type_name("N")
      ->capture_default_str();
  command->footer(
      "The model knows its classes and how its images were normalised; data with other classes or another image shape\n"
      "are refused.\n\nExample:\n"
      "  fastdeepiot eval --model runs/vgg/model.safetensors --data cifar10 --json eval.json");
  add_common(*command, flags->common, [flags] { eval(*flags); });
}

}  // namespace fdi::cli
