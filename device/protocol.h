// What the agent on a device and the runner on the workstation say to each other: one JSON object a line.
//   > {"ask": "hello", "protocol": 1, "settings": {"engine": "native", "isa": "", "threads": 1}}
//   < {"answer": "hello", "protocol": 1, "version": "0.1.0+8c1f0e4d2b", "engines": [...], "isas": [...], "ops": [...],
//      "identity": {...}}
//   > {"ask": "measure", "id": 7, "job": {...}, "options": {...}}
//   < {"answer": "reading", "id": 7, "reading": {...}}       or {"answer": "error", "id": 7, "message": "..."}
//   > {"ask": "model"}                                       the time model that the device keeps of itself, or null
//   < {"answer": "model", "model": {...}}
//   > {"ask": "keep", "model": {...}}
//   < {"answer": "kept"}
// A hello comes first and may come again. The agent ends when its standard input does.
#pragma once
#include <cstdint>
#include <functional>
#include <iosfwd>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "device/identity.h"
#include "device/reading.h"
#include "device/session.h"

namespace fdi::device {

constexpr int kProtocol = 1;
constexpr size_t kMaxLine = size_t{16} << 20;  // bytes: a network of kMaxLayers layers fits

// The agent's side: gives each answer, a line without its end, to `reply` until `in` ends.
void serve(std::istream& in, const std::function<void(const std::string&)>& reply);

// The other side.
nlohmann::json hello_request(const EngineSettings& settings);
nlohmann::json measure_request(int64_t id, const Job& job, const MeasureOptions& options);
nlohmann::json model_request();
nlohmann::json keep_request(const nlohmann::json& model);

struct Greeting {
  int protocol = 0;
  std::string version;
  std::vector<std::string> engines, isas;
  std::vector<std::string> ops;  // that the chosen engine has
  Identity identity;
};
// Throws Error headed by `where` for anything else; an error that the device tells is thrown as one printable line.
Greeting greeting_from_json(const nlohmann::json& answer, const std::string& where);
// The reading of request `id`, of a job of `layers` layers: nothing else is one.
Reading answered_reading(const nlohmann::json& answer, int64_t id, size_t layers, const std::string& where);
nlohmann::json answered_model(const nlohmann::json& answer, const std::string& where);  // null: it keeps none
void check_kept(const nlohmann::json& answer, const std::string& where);

}  // namespace fdi::device
