#include "device/kept_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "core/error.h"
#include "core/file.h"
#include "device/json.h"
#include "nn/spec.h"

namespace fdi::device {
namespace {

constexpr uint64_t kMaxBytes = uint64_t{64} << 20;

std::filesystem::path folder() {
  const auto set = [](const char* name) -> std::string {
    const char* value = std::getenv(name);
    return value != nullptr ? value : "";
  };
  if (const std::string models = set("FASTDEEPIOT_MODELS"); !models.empty()) return models;
  if (const std::string data = set("XDG_DATA_HOME"); !data.empty()) return data + "/fastdeepiot/models";
  if (const std::string home = set("HOME"); !home.empty()) return home + "/.local/share/fastdeepiot/models";
  core::fail("no home folder to keep a time model in: set FASTDEEPIOT_MODELS");
}

// "native-0.1.0+b288e5-avx512-1.json"
std::filesystem::path file_of(const Identity& device) {
  std::string name = fmt::format("{}-{}-{}-{}", device.engine, device.engine_version, device.isa, device.threads);
  if (device.frequency_mhz > 0) name += fmt::format("-{}MHz", device.frequency_mhz);
  std::ranges::replace_if(
      name, [](unsigned char c) { return std::isalnum(c) == 0 && c != '-' && c != '.' && c != '+' && c != '~'; }, '_');
  return folder() / (name + ".json");
}

void check_device(const nlohmann::json& model, const Identity& device, const std::string& where) {
  const Identity of = identity_from_json(member(model, "device", where), where);
  if (key(of) != key(device)) core::fail("{}: a model of \"{}\", this is \"{}\"", where, key(of), key(device));
}

}  // namespace

nlohmann::json kept_model(const Identity& device) {
  const std::string file = file_of(device);
  if (!std::filesystem::exists(file)) return nullptr;
  nlohmann::json model = nn::parse_json(core::read_file(file, kMaxBytes), file);
  check_device(model, device, file);
  return model;
}

void keep_model(const Identity& device, const nlohmann::json& model) {
  check_device(model, device, "model");
  const std::filesystem::path file = file_of(device);
  std::error_code error;
  std::filesystem::create_directories(file.parent_path(), error);
  if (error)
    core::fail("{}: {}; FASTDEEPIOT_MODELS names another folder", file.parent_path().string(), error.message());
  core::write_file_atomically(file, model.dump(1) + "\n");
}

}  // namespace fdi::device
