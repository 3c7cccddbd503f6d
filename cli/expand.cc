// `fastdeepiot expand`: wider layers where that is faster, with equal outputs and without training.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "cli/before_after.h"
#include "cli/commands.h"
#include "cli/compress_result.h"
#include "cli/options.h"
#include "cli/run_folder.h"
#include "cli/time_model_choice.h"
#include "compress/expand.h"
#include "compress/shrink.h"
#include "core/error.h"
#include "core/file.h"
#include "core/text.h"
#include "profile/op_model.h"
#include "profile/safe_region.h"

namespace fdi::cli {
namespace {

struct ExpandFlags {
  CommonOptions common;
  TimingOptions timing;
  std::string model, out, expand = "joint", verify = "on";
};

// Section 3.2: of each layer, what may be widened without asking the tree (figure 3). None where laws are rounded.
nlohmann::json simplified_models(const profile::TimeModel& model, const nn::NetworkSpec& spec) {
  nlohmann::json simplified = nlohmann::json::object();
  for (const device::Component& c : device::components(spec)) {
    const profile::Tree& tree = model.op(c.layer.op).tree();
    if (!profile::has_safe_regions(tree)) continue;
    const std::string text = profile::simplified_model(c.layer.op, profile::safe_regions(tree, c));
    if (!text.empty()) simplified[c.layer.name] = text;
  }
  return simplified;
}

struct Outcome {
  std::vector<int> widths;
  std::string text;                           // what was decided, and why
  std::vector<profile::NetworkTiming> times;  // of the model and the one with these widths; empty: not timed
  std::vector<compress::Trial> trials;
};

Outcome decide(const ExpandFlags& flags, const nn::Model& model, const nn::UnitGroups& groups,
               const compress::NetworkTimes& times, const AsTimed& timed) {
  Outcome out;
  out.widths = flags.expand == "paper" ? compress::expand_paper(times) : compress::expand_joint(times);
  const bool promised = out.widths != times.own();
  if (!promised) out.text = "left as it is: by this time model nothing is faster when wider\n";
  if (flags.verify == "off") return out;
  const auto measure = [&](const std::vector<nn::NetworkSpec>& networks) {
    out.times = timed.time(networks);
    std::vector<double> us;
    for (const profile::NetworkTiming& timing : out.times) us.push_back(timing.total.median_us);
    return us;
  };
  out.trials = compress::try_widening(model.spec, groups, times, out.widths, measure);
  if (promised && out.trials.back().faster()) {
    if (out.trials.size() > 1)
      out.text = fmt::format("measured {} widenings: all that was promised is not faster, this part of it is\n",
                             out.trials.size());
    out.widths = out.trials.back().widths;
    return out;
  }
  if (promised)
    out.text = fmt::format("left as it is: {} widening{} tried, none is faster when measured\n", out.trials.size(),
                           out.trials.size() == 1 ? " was" : "s were");
  if (!promised) measure({model.spec});
  out.times = {out.times[0], out.times[0]};
  out.widths = times.own();
  return out;
}

nlohmann::json trials_json(const Outcome& outcome, const nn::Model& model, const nn::UnitGroups& groups) {
  nlohmann::json trials = nlohmann::json::array();
  for (const compress::Trial& trial : outcome.trials)
    trials.push_back({{"predicted_ms", trial.predicted_us / 1000},
                      {"measured_ms", trial.after_us / 1000},
                      {"measured_ms_original", trial.before_us / 1000},
                      {"widths", widths_to_json(nn::with_widths(model.spec, groups, trial.widths))},
                      {"chosen", trial.faster()}});
  return trials;
}

// Where the model goes: a file, or a folder that `report` reads like one of compress.
struct Place {
  explicit Place(const std::string& out) : file(out) {
    if (out.ends_with(".safetensors")) {
      check_writable(out, Written::kModel);
    } else if (!out.empty()) {
      folder.emplace(out, "expand", false);
      file = folder->model();
    }
  }
  std::string file;  // empty: nowhere
  std::optional<RunFolder> folder;
};

void expand(const ExpandFlags& flags) {
  const auto start = std::chrono::steady_clock::now();
  const nn::Model model = nn::load_model(flags.model);
  Place place(flags.out);
  const nn::UnitGroups groups = nn::unit_groups(model.spec);
  nn::require_groups(model.spec, groups);
  const AsTimed timed(flags.timing);
  const auto chosen = find_time_model(flags.timing, timed.identity(), model.spec);
  if (!chosen) fail_no_time_model(flags.timing, timed.identity(), model.spec, core::shell_word(flags.model));
  if (chosen->forced() && flags.verify == "on")
    core::fail("{}: what is faster there cannot be measured here; add --verify off", chosen->note);
  const compress::NetworkTimes times(model.spec, groups, chosen->model);

  const Outcome outcome = decide(flags, model, groups, times, timed);
  const nn::Model wide = compress::widen(model, groups, outcome.widths);
  if (place.folder) place.folder->make();
  if (!place.file.empty()) nn::save_model(place.file, wide.spec, wide.parameters, wide.metadata);
  const BeforeAfter pair{model, wide, timed, &chosen->model,
                         compress::max_output_difference(model, wide, kComparedExamples, flags.common.seed)};
  nlohmann::json result = before_after_json(pair, outcome.times);
  const nlohmann::json simplified = simplified_models(chosen->model, model.spec);
  std::string text = chosen->forced() ? chosen->note + "\n" : "";
  for (const auto& [layer, rule] : simplified.items()) text += fmt::format("{}: {}\n", layer, rule.get<std::string>());
  text += before_after_text(pair, result) + outcome.text + (place.file.empty() ? "" : place.file + "\n");
  print(flags.common, text);
  const auto outside = warn_outside(profile::predict_network(chosen->model, wide.spec));

  result.update(result_fields(result));
  result["method"] = "expand";
  result["command"] = command_line();
  result["expand"] = flags.expand;
  result["verify"] = flags.verify;
  result["time_model"] = time_model_digest(chosen->model);
  result["widened"] = outcome.widths != times.own();
  result["candidates"] = trials_json(outcome, model, groups);
  result["simplified"] = simplified;
  result["outside_scope"] = outside;
  result["forced"] = chosen->forced();
  result["base_digest"] = model_digest(model);
  result["seed"] = flags.common.seed;
  result["seconds"] = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  if (place.folder) core::write_file_atomically(place.folder->file(kResultFile), result.dump(2) + "\n");
  write_result(flags.common, result);
}

}  // namespace

void add_expand(CLI::App& app) {
  CLI::App* command = app.add_subcommand("expand", "Widen layers where that is faster: equal outputs, no training");
  const auto flags = std::make_shared<ExpandFlags>();
  command->add_option("--model", flags->model, "The model file")->type_name("FILE")->required();
  command
      ->add_option("--out", flags->out,
                   "The wider model; the same network where nothing is faster: X.safetensors, or a folder for it and "
                   "result.json, which `report` reads")
      ->type_name("FILE|RUN");
  command
      ->add_option("--expand", flags->expand,
                   "joint: all widths together; paper: layer by layer, the multiples that the rules ask for")
      ->check(CLI::IsMember({"joint", "paper"}))
      ->capture_default_str();
  command
      ->add_option("--verify", flags->verify,
                   "on: what is not faster when measured here is not accepted; off: the time model is believed")
      ->check(CLI::IsMember({"on", "off"}))
      ->capture_default_str();
  add_timing(*command, flags->timing);
  command->footer(
      "The added units have zero weights, so that outputs are equal but for the rounding of sums. Where the wider\n"
      "network is not faster when measured, the widenings that promise least are taken back, and the rest is tried.\n\n"
      "Example:\n  fastdeepiot expand --model small.safetensors --out wide.safetensors");
  add_common(*command, flags->common, [flags] { expand(*flags); });
}

}  // namespace fdi::cli
