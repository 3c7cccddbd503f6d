#include "device/kept_model.h"

#include <cctype>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <string_view>

#include "core/error.h"
#include "core/file.h"
#include "device/json.h"
#include "nn/spec.h"

namespace fdi::device {
namespace {

// The key as a file's name: "board_Cortex-A76_Linux_6.1_aarch64_native_0.1.0+b288e5_neon_1_thread.json". Empty where
// there is no folder.
std::filesystem::path file_of(const Identity& device) {
  const char* own = std::getenv("FASTDEEPIOT_MODELS");
  const std::string data = core::data_home();
  const std::string folder = own != nullptr && *own != '\0' ? own : data.empty() ? "" : data + "/fastdeepiot/models";
  if (folder.empty()) return {};
  std::string name;
  for (const char c : key(device)) {
    const bool plain =
        std::isalnum(static_cast<unsigned char>(c)) != 0 || std::string_view("-.+~").find(c) != std::string_view::npos;
    if (plain)
      name += c;
    else if (!name.ends_with('_'))
      name += '_';
  }
  return std::filesystem::path(folder) / (name + ".json");
}

void check_device(const nlohmann::json& model, const Identity& device, const std::string& where) {
  const Identity of = identity_from_json(member(model, "device", where), where);
  if (key(of) != key(device)) core::fail("{}: a model of \"{}\", this is \"{}\"", where, key(of), key(device));
}

}  // namespace

nlohmann::json kept_model(const Identity& device) {
  const std::filesystem::path file = file_of(device);
  if (file.empty() || !core::path_exists(file)) return nullptr;
  nlohmann::json model = nn::parse_json(core::read_file(file, kMaxModelBytes), file.string());
  check_device(model, device, file);
  return model;
}

void keep_model(const Identity& device, const nlohmann::json& model) {
  check_device(model, device, "model");
  const std::filesystem::path file = file_of(device);
  if (file.empty()) core::fail("no home folder to keep a time model in: set FASTDEEPIOT_MODELS");
  const std::string text = model.dump();
  if (text.size() > kMaxModelBytes) core::fail("a model of {} bytes; at most {} are kept", text.size(), kMaxModelBytes);
  std::error_code error;
  std::filesystem::create_directories(file.parent_path(), error);
  if (error)
    core::fail("{}: {}; FASTDEEPIOT_MODELS names another folder", file.parent_path().string(), error.message());
  core::write_file_atomically(file, text);
}

}  // namespace fdi::device
