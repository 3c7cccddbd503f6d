// Reading trusts nothing: every length is compared with what is there before it is used.
#include "nn/model_file.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>

#include "core/error.h"
#include "core/file.h"
#include "core/text.h"
#include "nn/file_kind.h"

namespace fdi::nn {
namespace {

using nlohmann::json;

static_assert(std::endian::native == std::endian::little, "values are written as they lie in memory");
constexpr size_t kMaxHeader = 100'000'000;  // the format's own limit
constexpr const char* kMetadata = "__metadata__";
constexpr const char* kChecksum = "checksum";
constexpr const char* kNetwork = "network";
constexpr const char* kModelFile = "model.safetensors";  // of a run
constexpr const char* kDamaged = "the file is damaged or cut; take another copy";

// One multiply per 8 bytes. Each step is a bijection, so that a single flipped bit always shows.
class Checksum {
 public:
  void add(const void* data, size_t bytes) {
    const auto* p = static_cast<const unsigned char*>(data);
    for (; bytes > 0; p += 8, bytes -= std::min<size_t>(bytes, 8)) {
      uint64_t word = 0;
      std::memcpy(&word, p, std::min<size_t>(bytes, 8));
      hash_ = (hash_ ^ word) * 0x9E3779B97F4A7C15ull;
      hash_ ^= hash_ >> 32;
    }
  }
  std::string text() const { return fmt::format("{:016x}", hash_); }

 private:
  uint64_t hash_ = 0x6A09E667F3BCC908ull;
};

std::string dump(const json& object) { return object.dump(-1, ' ', false, json::error_handler_t::replace); }

// The header without its checksum, as text: what the checksum covers beside the values.
std::string unsigned_header(json header) {
  if (header.contains(kMetadata)) header[kMetadata].erase(kChecksum);
  return dump(header);
}

struct Place {
  std::string name;
  Shape shape;
  uint64_t begin, end;  // bytes after the header
};

bool read_count(const json& value, uint64_t& out) {
  if (!value.is_number_unsigned()) return false;
  out = value.get<uint64_t>();
  return true;
}

Place read_place(const std::string& name, const json& value, const std::string& who) {
  Place place{name, {}, 0, 0};
  if (!value.is_object() || !value.contains("dtype") || !value.contains("shape") || !value.contains("data_offsets"))
    core::fail("{}: want an object with dtype, shape and data_offsets; {}", who, kDamaged);
  if (value["dtype"] != "F32")
    core::fail("{}: dtype {}: only \"F32\" can be read; convert the tensor", who, dump(value["dtype"]).substr(0, 40));
  const json& shape = value["shape"];
  if (!shape.is_array() || shape.size() > Shape::kMaxRank)
    core::fail("{}: the shape is no list of at most {} extents", who, Shape::kMaxRank);
  uint64_t count = 1;
  for (const json& extent : shape) {
    uint64_t n = 0;
    if (!read_count(extent, n) || n > INT32_MAX || (n > 0 && count > (uint64_t{1} << 40) / n))
      core::fail("{}: shape {} is out of range; {}", who, dump(shape).substr(0, 60), kDamaged);
    count *= n;
    place.shape.dim[place.shape.rank++] = static_cast<int>(n);
  }
  const json& offsets = value["data_offsets"];
  if (!offsets.is_array() || offsets.size() != 2 || !read_count(offsets[0], place.begin) ||
      !read_count(offsets[1], place.end) || place.begin > place.end)
    core::fail("{}: data_offsets {}: want [begin, end]; {}", who, dump(offsets).substr(0, 60), kDamaged);
  if (place.end - place.begin != count * sizeof(float))
    core::fail("{}: {} bytes at offsets [{}, {}), want {} for shape {}; {}", who, place.end - place.begin, place.begin,
               place.end, count * sizeof(float), core::to_string(place.shape), kDamaged);
  return place;
}

// In the order of their values, which must follow each other without gap or overlap to the end of the file.
std::vector<Place> read_places(const json& header, uint64_t data_bytes, const std::string& where) {
  std::vector<Place> places;
  for (const auto& [name, value] : header.items())
    if (name != kMetadata)
      places.push_back(read_place(name, value, fmt::format("{}: tensor {}", where, dump(name).substr(0, 120))));
  std::sort(places.begin(), places.end(),
            [](const Place& a, const Place& b) { return std::pair(a.begin, a.end) < std::pair(b.begin, b.end); });
  uint64_t at = 0;
  for (const Place& p : places) {
    if (p.begin != at)
      core::fail("{}: tensor {} starts at offset {} of the values, want {}; {}", where, dump(p.name).substr(0, 120),
                 p.begin, at, kDamaged);
    at = p.end;
  }
  if (at != data_bytes)
    core::fail("{}: holds {} bytes of values, want the {} that the header tells; {}", where, data_bytes, at, kDamaged);
  return places;
}

constexpr const char* kWanted =
    "this program reads safetensors files that hold a network, as `fastdeepiot train` writes them";

json read_header(std::string_view bytes, const std::string& where, size_t& data_at) {
  if (bytes.size() < 8) core::fail("{}: has {} bytes, want at least 8; {}", where, bytes.size(), kDamaged);
  uint64_t length = 0;
  std::memcpy(&length, bytes.data(), 8);
  const bool cut = length > bytes.size() - 8, object = bytes.size() == 8 || bytes[8] == '{';
  if (const std::string_view kind = file_kind(bytes); !kind.empty() && !object)
    core::fail("{}: is {}; {}", where, kind, kWanted);
  if (length > kMaxHeader || (cut && !object))
    core::fail("{}: is no safetensors file: it would begin with a header of {} bytes; {}", where, length, kWanted);
  if (cut) core::fail("{}: byte 0: a header of {} bytes, but {} follow; {}", where, length, bytes.size() - 8, kDamaged);
  data_at = 8 + static_cast<size_t>(length);
  json header = parse_json(bytes.substr(8, length), where + ": the header");
  if (!header.is_object()) core::fail("{}: byte 8: the header is a {}, want an object", where, header.type_name());
  return header;
}

std::map<std::string, std::string> read_metadata(const json& header, const std::string& where) {
  std::map<std::string, std::string> out;
  const auto found = header.find(kMetadata);
  if (found == header.end()) return out;
  if (!found->is_object()) core::fail("{}: {} is a {}, want an object", where, kMetadata, found->type_name());
  for (const auto& [key, value] : found->items()) {
    if (!value.is_string()) core::fail("{}: {} {}: want a string", where, kMetadata, dump(key).substr(0, 120));
    out[key] = value.get<std::string>();
  }
  return out;
}

}  // namespace

const TensorFile::Entry* TensorFile::find(std::string_view name) const {
  const auto found = std::find_if(tensors.begin(), tensors.end(), [&](const Entry& e) { return e.name == name; });
  return found == tensors.end() ? nullptr : &*found;
}

void write_tensor_file(const std::string& path, const TensorFile& file) {
  for (const auto& [key, value] : file.metadata)
    if (!core::is_utf8(key) || !core::is_utf8(value))
      core::fail("{}: cannot write: \"{}\" in the metadata is no UTF-8 text: {}; rename what it tells of", path,
                 core::printable(key), core::printable(value).substr(0, 200));
  json header = json::object();
  header[kMetadata] = file.metadata;
  uint64_t at = 0;
  for (const TensorFile::Entry& e : file.tensors) {
    json shape = json::array();
    for (int i = 0; i < e.values.shape.rank; ++i) shape.push_back(e.values.shape[i]);
    const uint64_t end = at + static_cast<uint64_t>(e.values.size()) * sizeof(float);
    CHECK(!header.contains(e.name));
    header[e.name] = {{"dtype", "F32"}, {"shape", std::move(shape)}, {"data_offsets", {at, end}}};
    at = end;
  }
  Checksum checksum;
  const std::string covered = unsigned_header(header);
  checksum.add(covered.data(), covered.size());
  for (const TensorFile::Entry& e : file.tensors) checksum.add(e.values.data, e.values.span().size_bytes());
  header[kMetadata][kChecksum] = checksum.text();

  std::string text = dump(header);
  text.resize((text.size() + 7) / 8 * 8, ' ');  // so that the values are aligned
  const uint64_t length = text.size();
  core::AtomicFile out(path);
  out.write(std::as_bytes(std::span(&length, 1)));
  out.write(text);
  for (const TensorFile::Entry& e : file.tensors) out.write(std::as_bytes(e.values.span()));
  out.commit();
}

TensorFile parse_tensor_file(std::string_view bytes, std::string_view place) {
  const std::string where(place);
  size_t data_at = 0;
  const json header = read_header(bytes, where, data_at);
  const std::vector<Place> places = read_places(header, bytes.size() - data_at, where);
  TensorFile file;
  file.metadata = read_metadata(header, where);
  file.storage.resize((bytes.size() - data_at) / sizeof(float));
  if (!file.storage.empty())
    std::memcpy(file.storage.data(), bytes.data() + data_at, file.storage.size() * sizeof(float));
  for (const Place& p : places)
    file.tensors.push_back({p.name, {file.storage.data() + p.begin / sizeof(float), p.shape}});

  const auto stored = file.metadata.find(kChecksum);
  if (stored == file.metadata.end()) return file;  // written by another program
  Checksum checksum;
  const std::string covered = unsigned_header(header);
  checksum.add(covered.data(), covered.size());
  for (const TensorFile::Entry& e : file.tensors) checksum.add(e.values.data, e.values.span().size_bytes());
  if (checksum.text() != stored->second)
    core::fail("{}: the checksum is {}, want {}; {} (edited on purpose: remove \"{}\" from its metadata)", where,
               checksum.text(), dump(stored->second).substr(0, 40), kDamaged, kChecksum);
  file.metadata.erase(stored);
  return file;
}

TensorFile read_tensor_file(const std::string& path) { return parse_tensor_file(core::read_file(path), path); }

// "nan at (0, 3)": the first value that is no finite number; empty: there is none.
static std::string ruined_value(const core::ConstTensor& tensor) {
  const auto values = tensor.span();
  const auto found = std::find_if(values.begin(), values.end(), [](float v) { return !std::isfinite(v); });
  if (found == values.end()) return "";
  Shape place = tensor.shape;
  int64_t rest = found - values.begin();
  for (int axis = place.rank; axis-- > 0; rest /= tensor.shape[axis])
    place[axis] = static_cast<int>(rest % tensor.shape[axis]);
  return fmt::format("{} at {}", std::isnan(*found) ? "nan" : *found > 0 ? "inf" : "-inf", core::to_string(place));
}

void copy_parameters(const TensorFile& file, Parameters& parameters, std::string_view where) {
  for (const Parameters::Entry& e : parameters.entries()) {
    const TensorFile::Entry* from = file.find(e.name);
    if (from == nullptr) core::fail("{}: tensor {} is missing; the file does not fit its network", where, e.name);
    if (from->values.shape != e.spec.shape)
      core::fail("{}: tensor {} has shape {}, want {}; the file does not fit its network", where, e.name,
                 core::to_string(from->values.shape), core::to_string(e.spec.shape));
    if (const std::string ruined = ruined_value(from->values); !ruined.empty())
      core::fail("{}: tensor {} holds {}: its weights are ruined; train again with a lower --lr", where, e.name,
                 ruined);
    std::copy_n(from->values.data, from->values.size(), parameters.tensor(e).data);
  }
}

void save_model(const std::string& path, const NetworkSpec& spec, const Parameters& parameters,
                const std::map<std::string, std::string>& metadata) {
  TensorFile file;
  file.metadata = metadata;
  CHECK(!metadata.contains(kNetwork) && !metadata.contains(kChecksum));
  file.metadata[kNetwork] = spec_to_json(spec).dump();
  for (const Parameters::Entry& e : parameters.entries()) file.tensors.push_back({e.name, parameters.tensor(e)});
  write_tensor_file(path, file);
}

// Throws Error for a checkpoint, which holds a model's tensors and more; the message names the model file of its run.
static void refuse_checkpoint(const TensorFile& file, std::string_view where) {
  if (!file.metadata.contains("training") && !file.metadata.contains("search")) return;
  const std::filesystem::path model = std::filesystem::path(where).parent_path() / kModelFile;
  std::error_code error;
  core::fail("{}: is the checkpoint of a run, not a model; {}", where,
             std::filesystem::exists(model, error)
                 ? "give " + model.string()
                 : fmt::format("finish the run (--resume), which then writes {} beside it", kModelFile));
}

Model parse_model(std::string_view bytes, std::string_view where) {
  TensorFile file = parse_tensor_file(bytes, where);
  refuse_checkpoint(file, where);
  const auto network = file.metadata.find(kNetwork);
  if (network == file.metadata.end())
    core::fail("{}: has no \"{}\" in its metadata, which describes the layers like a --spec file; {}", where, kNetwork,
               kWanted);
  const std::string at = fmt::format("{}: metadata {}", where, kNetwork);
  NetworkSpec spec = spec_from_json(parse_json(network->second, at), at);

  // Before any memory is taken for the weights: they must be those of the file.
  const std::vector<Parameters::Entry> wanted = Parameters::list(spec);
  int64_t floats = 0;
  std::set<std::string_view> names;
  for (const Parameters::Entry& e : wanted) {
    floats += e.spec.shape.size();
    names.insert(e.name);
  }
  for (const TensorFile::Entry& e : file.tensors)
    if (!names.contains(e.name))
      core::fail("{}: tensor {} belongs to no layer of the network; the file does not fit its network", where,
                 dump(e.name).substr(0, 120));
  if (floats != static_cast<int64_t>(file.storage.size()))
    core::fail("{}: holds {} weights, want the network's {}; the file does not fit its network", where,
               file.storage.size(), floats);
  Parameters parameters(spec);
  copy_parameters(file, parameters, where);
  file.metadata.erase(network);
  return {std::move(spec), std::move(parameters), std::move(file.metadata)};
}

Model load_model(const std::string& path) {
  const std::string file = core::is_folder(path) ? (std::filesystem::path(path) / kModelFile).string() : path;
  return parse_model(core::read_file(file), file);
}

}  // namespace fdi::nn
