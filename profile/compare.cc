#include "profile/compare.h"

#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <span>

#include "core/error.h"
#include "profile/child_process.h"
#include "profile/nnls.h"
#include "profile/op_model.h"
#include "profile/statistics.h"

namespace fdi::profile {

extern const char kCompareScript[];  // compare_regressors.py, see CMakeLists.txt

namespace {

using nn::Op;

constexpr double kTrainingSeconds = 1800;
const std::vector<std::string> kRegressors = {"SVR", "DT", "RF", "GBRT", "DNN"};

struct OpData {
  std::vector<Observation> training, held_out;
};

// Everything that any law or condition of the time model may use.
std::vector<double> inputs(const Structure& structure) { return {structure.value.begin(), structure.value.end()}; }

// us = w FLOPs + b, relative errors, w and b not negative; elements moved where the op has no FLOPs.
std::vector<double> flops_only(const OpData& data) {
  const auto size = [](const Structure& s) { return s[Field::kFlops] > 0 ? s[Field::kFlops] : s[Field::kMemOut]; };
  Gram gram(3);
  for (const Observation& o : data.training) {
    const std::array<double, 3> row{size(o.structure) / o.us, 1 / o.us, 1};
    gram.add(row.data());
  }
  const Nnls line = solve_nnls(gram);
  std::vector<double> predicted;
  for (const Observation& o : data.held_out) predicted.push_back(line.weight[0] * size(o.structure) + line.weight[1]);
  return predicted;
}

nlohmann::json ask_python(const nlohmann::json& request) {
  const std::string remedy = "install Debian's python3-sklearn for the comparison";
  ChildProcess python({"/usr/bin/python3", "-c", kCompareScript});
  std::string line;
  if (python.send(request.dump(), 60) != ChildProcess::Outcome::kDone ||
      python.receive(line, size_t{256} << 20, kTrainingSeconds) != ChildProcess::Outcome::kDone)
    core::fail("/usr/bin/python3 did not train the other regressors ({}); {}", python.end(), remedy);
  const nlohmann::json answer = nlohmann::json::parse(line, nullptr, false);
  if (answer.is_object() && answer.contains("error")) core::fail("{}; {}", answer["error"].dump(), remedy);
  if (!answer.is_object() || !answer.contains("ops"))
    core::fail("/usr/bin/python3 answered no predictions; {}", remedy);
  return answer["ops"];
}

}  // namespace

Comparison compare(const SampleSet& set, const FitOptions& options) {
  const TimeModel model = TimeModel::fit(set, options);
  std::map<Op, std::vector<const Sample*>> by_op;
  for (const Sample& sample : set.samples)
    if (model.covers(sample.component.layer.op)) by_op[sample.component.layer.op].push_back(&sample);
  std::map<Op, OpData> data;
  nlohmann::json request = {{"seed", options.seed}, {"ops", nlohmann::json::object()}};
  for (const auto& [op, samples] : by_op) {
    const Split split = split_samples(op, samples, options);
    data[op] = {observe(split.training), observe(split.held_out)};
    nlohmann::json& ask = request["ops"][std::string(nn::op_name(op))];
    ask = {{"train_x", nlohmann::json::array()},
           {"train_y", nlohmann::json::array()},
           {"test_x", nlohmann::json::array()}};
    for (const Observation& o : data[op].training) {
      ask["train_x"].push_back(inputs(o.structure));
      ask["train_y"].push_back(o.us);
    }
    for (const Observation& o : data[op].held_out) ask["test_x"].push_back(inputs(o.structure));
  }
  const nlohmann::json answer = ask_python(request);
  Comparison comparison;
  comparison.regressors = {"FastDeepIoT"};
  comparison.regressors.insert(comparison.regressors.end(), kRegressors.begin(), kRegressors.end());
  comparison.regressors.emplace_back("FLOPs only");
  for (const auto& [op, d] : data) {
    std::vector<OpQuality>& row = comparison.quality[op];
    row.push_back(model.op(op).quality());
    for (const std::string& name : kRegressors)
      row.push_back(
          quality_of(answer.at(std::string(nn::op_name(op))).at(name).get<std::vector<double>>(), d.held_out));
    row.push_back(quality_of(flops_only(d), d.held_out));
  }
  return comparison;
}

std::string Comparison::text() const {
  std::string text = fmt::format("{:16}", "MAPE, held out");
  for (const std::string& name : regressors) text += fmt::format("{:>12}", name);
  text += '\n';
  for (const auto& [op, row] : quality) {
    text += fmt::format("{:16}", nn::op_name(op));
    for (const OpQuality& q : row) text += fmt::format("{:>11.1f}%", 100 * q.mape);
    text += '\n';
  }
  return text;
}

}  // namespace fdi::profile
