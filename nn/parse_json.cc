// The one way from text to JSON. RFC 8259 leaves open what a key means that an object has twice, and the library would
// take the later one without a word: it is refused.
#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <set>
#include <vector>

#include "core/error.h"
#include "core/text.h"
#include "nn/file_kind.h"
#include "nn/spec.h"

namespace fdi::nn {
namespace {

using nlohmann::json;

std::string key_text(std::string_view key) { return fmt::format("\"{}\"", core::printable(key.substr(0, 100))); }

// The keys of the objects that are open while a text is parsed, outermost first.
class OpenObjects {
 public:
  explicit OpenObjects(std::string_view where) : where_(where) {}

  void see(json::parse_event_t event, const json& parsed) {
    if (event == json::parse_event_t::object_start) objects_.emplace_back();
    if (event == json::parse_event_t::object_end) objects_.pop_back();
    if (event != json::parse_event_t::key) return;
    Object& object = objects_.back();
    object.last = parsed.get<std::string>();
    if (object.keys.insert(object.last).second) return;
    core::fail("{}: the key {} is there twice{}; remove one of them", where_, key_text(object.last),
               objects_.size() < 2 ? "" : fmt::format(", in {}", key_text(objects_[objects_.size() - 2].last)));
  }

 private:
  struct Object {
    std::set<std::string> keys;
    std::string last;
  };
  const std::string_view where_;
  std::vector<Object> objects_;
};

}  // namespace

json parse_json(std::string_view text, std::string_view where) {
  OpenObjects open(where);
  try {
    return json::parse(text, [&](int, json::parse_event_t event, json& parsed) {
      open.see(event, parsed);
      return true;
    });
  } catch (const json::parse_error& e) {
    const std::string_view kind = file_kind(text);
    if (!kind.empty() && kind != kJsonText) core::fail("{}: is {}, not JSON", where, kind);
    core::fail("{}: byte {}: not JSON{}; correct it or write the file anew", where, e.byte,
               text.empty() ? " (it is empty)" : "");
  } catch (const json::exception&) {  // a number that no double holds
    core::fail("{}: not JSON: a number is out of range", where);
  }
}

}  // namespace fdi::nn
