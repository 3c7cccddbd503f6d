// The time model that a device keeps of itself, so that whoever connects to it next need not profile it (paper section
// 4.3): the newest for each key (device/identity.h), so for each engine, version, instruction set and number of
// threads. What a model says is profile/'s business; here it is JSON that names its device. Called by the agent.
#pragma once
#include <cstddef>
#include <nlohmann/json_fwd.hpp>

#include "device/identity.h"

namespace fdi::device {

constexpr size_t kMaxModelBytes = size_t{8} << 20;  // fits into a line of the protocol

// The folder is FASTDEEPIOT_MODELS, else fastdeepiot/models in core::data_home().
// Null where none is kept. Throws Error for a file that is damaged or of another device.
nlohmann::json kept_model(const Identity& device);
// In place of an earlier one. Throws Error for a model of another device, and where the file cannot be written.
void keep_model(const Identity& device, const nlohmann::json& model);

}  // namespace fdi::device
