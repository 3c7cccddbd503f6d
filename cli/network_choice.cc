// See network_choice.h.
#include "cli/network_choice.h"

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/file.h"
#include "nn/zoo.h"

namespace fdi::cli {

nn::NetworkSpec choose_network(const std::string& zoo, const std::string& spec, double width, const core::Shape& image,
                               int classes) {
  if (!zoo.empty()) return nn::make_zoo(zoo, {.width = width, .classes = classes, .input = image});
  constexpr size_t kMaxBytes = 64 << 20;
  return nn::spec_from_json(nn::parse_json(core::read_file(spec, kMaxBytes), spec), spec);
}

void check_outputs(const nn::NetworkSpec& spec, int classes) {
  const core::Shape out = nn::output_shapes(spec).back();
  if (out != core::Shape{classes})
    core::fail("network {}: ends in {}, but the images have {} classes; its last layer must give ({})", spec.name,
               core::to_string(out), classes, classes);
}

}  // namespace fdi::cli
