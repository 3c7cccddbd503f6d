// The time model that a device keeps of itself, so that whoever connects to it next need not profile it (paper section
// 4.3): a file for each engine, version, instruction set and number of threads. What a model says is profile/'s
// business; here it is JSON that names its device. Called by the agent.
#pragma once
#include <nlohmann/json_fwd.hpp>

#include "device/identity.h"

namespace fdi::device {

// The folder is FASTDEEPIOT_MODELS, else fastdeepiot/models in $XDG_DATA_HOME or ~/.local/share.
// Null where none is kept. Throws Error for a file that is damaged or of another device.
nlohmann::json kept_model(const Identity& device);
// In place of an earlier one. Throws Error for a model of another device, and where the file cannot be written.
void keep_model(const Identity& device, const nlohmann::json& model);

}  // namespace fdi::device
