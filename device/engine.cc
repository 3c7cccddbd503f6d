// The list of engines. A new one: a file engine_X.cc with a function X_engine(), and one line here, twice.
#include "device/engine.h"

#include <fmt/format.h>

#include "core/error.h"

namespace fdi::device {

std::unique_ptr<Engine> native_engine();
std::unique_ptr<Engine> onednn_engine();
std::unique_ptr<Engine> xnnpack_engine();

namespace {

struct Row {
  const char* name;
  const char* package;                // Debian's, that the build needs
  std::unique_ptr<Engine> (*make)();  // null: not built in
};

constexpr Row kEngines[] = {
    {"native", "", native_engine},
#ifdef FDI_HAVE_ONEDNN
    {"onednn", "libdnnl-dev", onednn_engine},
#else
    {"onednn", "libdnnl-dev", nullptr},
#endif
#ifdef FDI_HAVE_XNNPACK
    {"xnnpack", "libxnnpack-dev and libpthreadpool-dev", xnnpack_engine},
#else
    {"xnnpack", "libxnnpack-dev and libpthreadpool-dev", nullptr},
#endif
};

}  // namespace

std::unique_ptr<Engine> make_engine(std::string_view name) {
  for (const Row& row : kEngines) {
    if (name != row.name) continue;
    if (row.make == nullptr)
      core::fail("engine {}: this program was built without it; install {} (Debian) and configure again", row.name,
                 row.package);
    return row.make();
  }
  core::fail("engine \"{}\": unknown; this program has {}", name.substr(0, 100), fmt::join(engine_names(), ", "));
}

std::vector<std::string> engine_names() {
  std::vector<std::string> names;
  for (const Row& row : kEngines)
    if (row.make != nullptr) names.emplace_back(row.name);
  return names;
}

}  // namespace fdi::device
