// `fastdeepiot shrink`: a smaller, dense network of the units that a file says to keep.
#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/before_after.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "cli/time_model_choice.h"
#include "compress/shrink.h"
#include "core/error.h"
#include "core/file.h"

namespace fdi::cli {
namespace {

struct ShrinkFlags {
  CommonOptions common;
  TimingOptions timing;
  std::string model, keep, out;
};

constexpr uint64_t kMaxKeepFile = 64 << 20;

void shrink(const ShrinkFlags& flags) {
  const nn::Model model = nn::load_model(flags.model);
  check_writable(flags.out, Written::kModel);
  const nn::UnitGroups groups = nn::unit_groups(model.spec);
  nn::require_groups(model.spec, groups);
  const nlohmann::json json = nn::parse_json(core::read_file(flags.keep, kMaxKeepFile), flags.keep);
  const compress::Keep keep = compress::keep_from_json(json, model.spec, groups, flags.keep);
  const AsTimed timed(flags.timing);
  const auto time_model =
      find_time_model(flags.timing, timed.identity(), model.spec);  // without one nothing is predicted
  const nn::Model small = compress::shrink(model, groups, keep);
  nn::save_model(flags.out, small.spec, small.parameters, small.metadata);

  const double difference = compress::max_output_difference(compress::masked(model, groups, keep), small,
                                                            kComparedExamples, flags.common.seed);
  const BeforeAfter pair{model,      small,
                         timed,      time_model ? &time_model->model : nullptr,
                         difference, " from the model whose other units are switched off"};
  nlohmann::json result = measure_before_after(pair);
  result["forced"] = time_model && time_model->forced();
  if (time_model && time_model->forced()) print(flags.common, time_model->note + "\n");
  print(flags.common, before_after_text(pair, result) +
                          "the accuracy is that of the model without these units: lower, until it is trained on\n" +
                          flags.out + "\n");
  write_result(flags.common, result);
}

}  // namespace

void add_shrink(CLI::App& app) {
  CLI::App* command =
      app.add_subcommand("shrink", "Leave units out of a model: a smaller network, equal to it with those units off");
  const auto flags = std::make_shared<ShrinkFlags>();
  command->add_option("--model", flags->model, "The model file")->type_name("FILE")->required();
  command->add_option("--keep", flags->keep, "JSON file: the units that stay, by layer; others keep all")
      ->type_name("FILE")
      ->required();
  command->add_option("--out", flags->out, "The smaller model")->type_name("FILE")->required();
  add_timing(*command, flags->timing);
  command->footer(
      "keep.json: {\"conv1_1\": [0, 3, 5], \"fc1\": [1, 2]}. Layers that share their units (additions, joins along\n"
      "another axis) are named by the first of them. The outputs are those of the model with the other units\n"
      "switched off (set to 0), so the accuracy falls with the units that go; compress also trains the smaller\n"
      "network.\n\n"
      "Example:\n  fastdeepiot shrink --model runs/vgg/model.safetensors --keep keep.json --out small.safetensors");
  add_common(*command, flags->common, [flags] { shrink(*flags); });
}

}  // namespace fdi::cli
