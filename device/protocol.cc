#include "device/protocol.h"

#include <algorithm>
#include <array>
#include <istream>

#include "core/text.h"
#include "device/json.h"
#include "device/kept_model.h"
#include "device/version.h"
#include "kernels/isa.h"
#include "nn/layer.h"

namespace fdi::device {
namespace {

using nlohmann::json;

json options_to_json(const MeasureOptions& o) {
  return {{"warm_up", o.warm_up},         {"min_runs", o.min_runs},
          {"max_runs", o.max_runs},       {"target_rel_mad", o.target_rel_mad},
          {"max_seconds", o.max_seconds}, {"min_interval_us", o.min_interval_us}};
}

MeasureOptions options_from_json(const json& object, const std::string& where) {
  constexpr int kMaxRuns = 1 << 24;
  MeasureOptions o;
  o.warm_up = int_member(object, "warm_up", 0, kMaxRuns, where);
  o.min_runs = int_member(object, "min_runs", 1, kMaxRuns, where);
  o.max_runs = int_member(object, "max_runs", 1, kMaxRuns, where);
  o.target_rel_mad = number_member(object, "target_rel_mad", 0, 1e6, where);
  o.max_seconds = number_member(object, "max_seconds", 0, 1e6, where);
  o.min_interval_us = number_member(object, "min_interval_us", 0, 1e9, where);
  return o;
}

EngineSettings settings_from_json(const json& object, const std::string& where) {
  return {text_member(object, "engine", where), text_member(object, "isa", where),
          int_member(object, "threads", 1, 1024, where)};
}

json greeting(const Session& session) {
  json ops = json::array();
  for (const nn::OpInfo* info : nn::all_ops())
    if (session.supports(info->op)) ops.push_back(info->name);
  return {{"answer", "hello"},
          {"protocol", kProtocol},
          {"version", build_version()},
          {"engines", engine_names()},
          {"isas", kernels::available_isas()},
          {"ops", std::move(ops)},
          {"identity", identity_to_json(session.identity())}};
}

int64_t id_of(const json& message) {
  const auto id = message.is_object() ? message.find("id") : message.end();
  return message.is_object() && id != message.end() && id->is_number_integer() ? id->get<int64_t>() : 0;
}

// One request; the session is made by the first hello.
json answer(const json& request, std::unique_ptr<Session>& session) {
  const std::string where = "request";
  const std::string ask = text_member(request, "ask", where);
  if (ask == "hello") {
    session = std::make_unique<Session>(settings_from_json(member(request, "settings", where), where));
    return greeting(*session);
  }
  constexpr std::array kinds = {"measure", "model", "keep"};
  if (std::ranges::find(kinds, ask) == kinds.end())
    core::fail("{}: \"ask\" is \"{}\", wanted hello, measure, model or keep", where, ask);
  if (session == nullptr) core::fail("{}: {} before hello", where, ask);
  if (ask == "model") return {{"answer", "model"}, {"model", kept_model(session->identity())}};
  if (ask == "keep") {
    keep_model(session->identity(), member(request, "model", where));
    return {{"answer", "kept"}};
  }
  const Job job = job_from_json(member(request, "job", where), where);
  const MeasureOptions options = options_from_json(member(request, "options", where), where);
  return {{"answer", "reading"}, {"id", id_of(request)}, {"reading", reading_to_json(session->measure(job, options))}};
}

std::vector<std::string> texts_member(const json& object, const char* key, const std::string& where) {
  std::vector<std::string> texts;
  for (const json& text : member(object, key, where)) {
    if (!text.is_string()) core::fail("{}: \"{}\" holds a {}, wanted texts", where, key, text.type_name());
    texts.push_back(text.get<std::string>());
  }
  return texts;
}

// What a device writes, fit for one line of a message.
std::string told(const std::string& text) {
  constexpr size_t kMost = 400;
  return core::printable(text.substr(0, kMost)) + (text.size() > kMost ? "..." : "");
}

// Throws what the answer says where it is an error.
void check_kind(const json& answer, std::string_view wanted, std::string_view asked, const std::string& where) {
  const std::string kind = text_member(answer, "answer", where);
  if (kind == "error") core::fail("{}: {}", where, told(text_member(answer, "message", where)));
  if (kind != wanted) core::fail("{}: answered \"{}\" to {}", where, told(kind), asked);
}

}  // namespace

void serve(std::istream& in, const std::function<void(const std::string&)>& reply) {
  std::unique_ptr<Session> session;
  for (std::string line; std::getline(in, line);) {
    json request, answered;
    try {
      request = nn::parse_json(line, "request");
      answered = answer(request, session);
    } catch (const std::exception& e) {  // whatever it is, the other side must hear of it
      answered = {{"answer", "error"}, {"id", id_of(request)}, {"message", e.what()}};
    }
    reply(answered.dump(-1, ' ', true, json::error_handler_t::replace));
  }
}

json hello_request(const EngineSettings& s) {
  return {{"ask", "hello"},
          {"protocol", kProtocol},
          {"settings", {{"engine", s.engine}, {"isa", s.isa}, {"threads", s.threads}}}};
}

json measure_request(int64_t id, const Job& job, const MeasureOptions& options) {
  return {{"ask", "measure"}, {"id", id}, {"job", job_to_json(job)}, {"options", options_to_json(options)}};
}

json model_request() { return {{"ask", "model"}}; }

json keep_request(const json& model) { return {{"ask", "keep"}, {"model", model}}; }

Greeting greeting_from_json(const json& answer, const std::string& where) {
  check_kind(answer, "hello", "hello", where);
  Greeting g;
  // The version first: another one's greeting may look different from here on.
  g.protocol = int_member(answer, "protocol", 0, 1 << 20, where);
  g.version = told(text_member(answer, "version", where));
  if (g.protocol != kProtocol || g.version != build_version()) return g;
  g.engines = texts_member(answer, "engines", where);
  g.isas = texts_member(answer, "isas", where);
  g.ops = texts_member(answer, "ops", where);
  g.identity = identity_from_json(member(answer, "identity", where), where);
  return g;
}

Reading answered_reading(const json& answer, int64_t id, size_t layers, const std::string& where) {
  constexpr const char* kRemedy = "start it anew, and see that nobody else talks to it";
  if (const int64_t got = id_of(answer); got != id && answer.is_object() && answer.contains("id"))
    core::fail("{}: answered request {} when asked {}; {}", where, got, id, kRemedy);
  check_kind(answer, "reading", "measure", where);
  member(answer, "id", where);
  Reading reading = reading_from_json(member(answer, "reading", where), where);
  if (reading.layers.size() != layers)
    core::fail("{}: answered times of {} layers when asked for {}; {}", where, reading.layers.size(), layers, kRemedy);
  return reading;
}

json answered_model(const json& answer, const std::string& where) {
  check_kind(answer, "model", "model", where);
  return member(answer, "model", where);
}

void check_kept(const json& answer, const std::string& where) { check_kind(answer, "kept", "keep", where); }

}  // namespace fdi::device
