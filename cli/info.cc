// `fastdeepiot info`: a network layer by layer, and what it takes to run it.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/network_choice.h"
#include "cli/options.h"
#include "core/error.h"
#include "core/threads.h"
#include "nn/fuse.h"
#include "nn/model_file.h"
#include "nn/network.h"
#include "nn/summary.h"

namespace fdi::cli {
namespace {

struct InfoFlags {
  CommonOptions common;
  std::string model, zoo, spec;
  double width = 1;
  int batch = 1;
};

double mib(size_t bytes) { return static_cast<double>(bytes) / 1048576.0; }

std::string table(const nn::Summary& summary) {
  size_t width = 5;
  for (const nn::LayerSummary& l : summary.layers) width = std::max(width, l.name.size());
  std::string text = fmt::format("{:<{}}  {:<15}  {:<16}  {:>11}  {:>11}  {:>12}\n", "layer", width, "op", "output",
                                 "parameters", "MFLOP", "output KiB");
  for (const nn::LayerSummary& l : summary.layers)
    text += fmt::format("{:<{}}  {:<15}  {:<16}  {:>11}  {:>11.3f}  {:>12.1f}\n", l.name, width, l.op,
                        core::to_string(l.output), l.parameters, static_cast<double>(l.flops) / 1e6,
                        static_cast<double>(l.output_bytes) / 1024);
  return text;
}

void info(const InfoFlags& flags) {
  if (flags.batch < 1) core::fail("--batch {}: wanted 1 or more", flags.batch);
  if (flags.model.empty() && flags.zoo.empty() && flags.spec.empty())
    core::fail("which network? give --model FILE, --zoo NAME or --spec FILE; see fastdeepiot info --help");
  nn::NetworkSpec spec;
  std::map<std::string, std::string> metadata;
  if (flags.model.empty()) {  // the weights' memory is planned, not taken
    spec = choose_network(flags.zoo, flags.spec, flags.width, {}, 0);
  } else {
    nn::Model model = nn::load_model(flags.model);
    spec = std::move(model.spec);
    metadata = std::move(model.metadata);
  }
  const nn::Summary summary = nn::summarize(spec);
  const nn::Network::Memory memory = nn::Network::plan(nn::inference_spec(spec), flags.batch, nn::Mode::kInference);
  print(flags.common,
        fmt::format("{}: input {}, {} layers\n\n{}\n"
                    "parameters  {} trained, {} running statistics\n"
                    "FLOPs       {:.3f} M per example (a multiply-add counts 2)\n"
                    "memory      {:.2f} MiB for inference at batch {} with {} thread{}: weights {:.2f}, input {:.2f}, "
                    "activations {:.2f}, "
                    "scratch {:.2f}\n",
                    spec.name, core::to_string(spec.input), spec.layers.size(), table(summary), summary.parameters,
                    summary.state, static_cast<double>(summary.flops) / 1e6, mib(memory.total()), flags.batch,
                    core::threads(), core::threads() == 1 ? "" : "s", mib(memory.weights), mib(memory.input),
                    mib(memory.activations), mib(memory.workspace)));
  if (const auto found = metadata.find("trained_on"); found != metadata.end())
    print(flags.common, "trained on  " + found->second + "\n");

  nlohmann::json layers = nlohmann::json::array();
  for (const nn::LayerSummary& l : summary.layers)
    layers.push_back({{"name", l.name},
                      {"op", l.op},
                      {"output", std::vector<int>(l.output.dim.begin(), l.output.dim.begin() + l.output.rank)},
                      {"parameters", l.parameters},
                      {"state", l.state},
                      {"flops", l.flops},
                      {"output_bytes", l.output_bytes}});
  write_result(flags.common, {{"name", spec.name},
                              {"layers", layers},
                              {"parameters", summary.parameters},
                              {"flops", summary.flops},
                              {"memory",
                               {{"batch", flags.batch},
                                {"threads", core::threads()},
                                {"weights", memory.weights},
                                {"input", memory.input},
                                {"activations", memory.activations},
                                {"workspace", memory.workspace},
                                {"total", memory.total()}}},
                              {"metadata", metadata}});
}

}  // namespace

void add_info(CLI::App& app) {
  CLI::App* command = app.add_subcommand("info", "Show a network layer by layer: shapes, parameters, FLOPs, memory");
  const auto flags = std::make_shared<InfoFlags>();
  auto* model = command->add_option("--model", flags->model, "A model file")->type_name("FILE");
  auto* zoo = command->add_option("--zoo", flags->zoo, "A network of the zoo: vgg16, vgg16-imagenet, resnet20, lenet");
  auto* spec = command->add_option("--spec", flags->spec, "A network described in a JSON file")->type_name("FILE");
  zoo->type_name("NAME")->excludes(model)->excludes(spec);
  spec->excludes(model);
  command->add_option("--width", flags->width, "Scales the channels of a zoo network")
      ->type_name("X")
      ->capture_default_str()
      ->excludes(model)
      ->excludes(spec);
  command->add_option("--batch", flags->batch, "Examples at once, for the memory")
      ->type_name("N")
      ->capture_default_str();
  command->footer(
      "Example:\n  fastdeepiot info --zoo vgg16 --width 0.25\n"
      "  fastdeepiot info --model runs/vgg/model.safetensors --json info.json");
  add_common(*command, flags->common, [flags] { info(*flags); });
}

}  // namespace fdi::cli
