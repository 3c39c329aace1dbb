#include "epskew/support/safetensors.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "epskew/support/error.hpp"
#include "epskew/support/json_file.hpp"

namespace epskew {
namespace {

using nlohmann::json;

constexpr std::size_t length_bytes = 8;
// The limit of the reference implementation.
constexpr std::uint64_t max_header_bytes = 100'000'000;

constexpr std::array<std::pair<std::string_view, DType>, 13> dtype_names = {{{"BOOL", DType::boolean},
                                                                             {"I8", DType::i8},
                                                                             {"U8", DType::u8},
                                                                             {"I16", DType::i16},
                                                                             {"U16", DType::u16},
                                                                             {"I32", DType::i32},
                                                                             {"U32", DType::u32},
                                                                             {"I64", DType::i64},
                                                                             {"U64", DType::u64},
                                                                             {"F16", DType::f16},
                                                                             {"BF16", DType::bf16},
                                                                             {"F32", DType::f32},
                                                                             {"F64", DType::f64}}};

[[noreturn]] void broken(const std::string& name, const std::string& why) {
  throw UsageError(fmt::format("{} is no valid safetensors file ({}); write or copy it again", name, why));
}

std::uint64_t header_length(std::string_view bytes) {
  std::uint64_t length = 0;
  std::memcpy(&length, bytes.data(), length_bytes);
  return length;
}

json parse_header(std::string_view bytes, const std::string& name) {
  if (bytes.size() < length_bytes)
    broken(name, fmt::format("{} bytes, shorter than the header length", bytes.size()));
  const std::uint64_t length = header_length(bytes);
  if (length > max_header_bytes)
    broken(name, fmt::format("its header claims {} bytes, at most {} are allowed", length, max_header_bytes));
  if (length > bytes.size() - length_bytes) {
    broken(name, fmt::format("its header claims {} bytes, the file has {} after the length: truncated",
                             length, bytes.size() - length_bytes));
  }
  json header = json::parse(bytes.substr(length_bytes, length), nullptr, /*allow_exceptions=*/false);
  if (!header.is_object()) broken(name, "its header is no JSON object");
  return header;
}

DType parse_dtype(const json& entry, const std::string& what) {
  const auto found = entry.find("dtype");
  if (found != entry.end() && found->is_string()) {
    for (const auto& [text, dtype] : dtype_names) {
      if (*found == text) return dtype;
    }
  }
  throw UsageError(fmt::format(
      "{} has dtype {} (not one this program reads); convert it to I64 or F32", what,
      found == entry.end() ? "none" : found->dump(-1, ' ', false, json::error_handler_t::replace)));
}

std::optional<std::vector<std::int64_t>> parse_integers(const json& entry, const char* key) {
  const auto found = entry.find(key);
  if (found == entry.end() || !found->is_array()) return std::nullopt;
  std::vector<std::int64_t> values;
  for (const json& value : *found) {
    if (!value.is_number_unsigned() || value.get<std::uint64_t>() >= std::uint64_t{1} << 62)
      return std::nullopt;
    values.push_back(value.get<std::int64_t>());
  }
  return values;
}

TensorView parse_tensor(const json& entry, std::string_view data, const std::string& name,
                        const std::string& tensor) {
  const std::string what = fmt::format("{}, tensor {}", name, tensor);
  if (!entry.is_object()) broken(name, fmt::format("tensor {} is described by no object", tensor));
  TensorView view;
  view.dtype = parse_dtype(entry, what);
  const auto shape = parse_integers(entry, "shape");
  if (!shape) broken(name, fmt::format("the shape of tensor {} is no list of sizes", tensor));
  view.shape = *shape;
  const auto offsets = parse_integers(entry, "data_offsets");
  if (!offsets || offsets->size() != 2)
    broken(name, fmt::format("the data_offsets of tensor {} are no pair of sizes", tensor));
  const auto begin = static_cast<std::uint64_t>(offsets->front());
  const auto end = static_cast<std::uint64_t>(offsets->back());
  if (begin > end || end > data.size()) {
    broken(name,
           fmt::format("tensor {} lies at bytes [{}, {}) of {}: truncated", tensor, begin, end, data.size()));
  }
  const std::int64_t needed = checked_elements(view.shape, view.dtype, what) * size_of(view.dtype);
  if (static_cast<std::uint64_t>(needed) != end - begin) {
    broken(name, fmt::format("tensor {} of shape {} needs {} bytes and has {}", tensor, to_string(view.shape),
                             needed, end - begin));
  }
  view.bytes = data.substr(begin, end - begin);
  return view;
}

void check_coverage(const std::map<std::string, TensorView>& tensors, std::string_view data,
                    const std::string& name) {
  std::vector<std::pair<std::size_t, std::size_t>> pieces;
  for (const auto& [key, tensor] : tensors) {
    pieces.emplace_back(static_cast<std::size_t>(tensor.bytes.data() - data.data()), tensor.bytes.size());
  }
  std::sort(pieces.begin(), pieces.end());
  std::size_t covered = 0;
  for (const auto& [begin, size] : pieces) {
    if (begin != covered)
      broken(name, fmt::format("its tensors {} at byte {}", begin < covered ? "overlap" : "leave a gap",
                               std::min(begin, covered)));
    covered += size;
  }
  if (covered != data.size())
    broken(name, fmt::format("{} bytes after the last tensor", data.size() - covered));
}

json describe(const std::map<std::string, TensorView>& tensors,
              const std::map<std::string, std::string>& metadata) {
  json header = json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  std::size_t offset = 0;
  for (const auto& [key, tensor] : tensors) {
    const auto* dtype =
        std::find_if(dtype_names.begin(), dtype_names.end(),
                     [dtype = tensor.dtype](const auto& pair) { return pair.second == dtype; });
    header[key] = {{"dtype", dtype->first},
                   {"shape", tensor.shape},
                   {"data_offsets", {offset, offset + tensor.bytes.size()}}};
    offset += tensor.bytes.size();
  }
  return header;
}

}  // namespace

SafeTensors::SafeTensors(std::string bytes, std::string name)
    : bytes_(bytes.begin(), bytes.end()), name_(std::move(name)) {
  const std::string_view all(bytes_.data(), bytes_.size());
  const json header = parse_header(all, name_);
  const std::string_view data = all.substr(length_bytes + header_length(all));
  for (const auto& [key, entry] : header.items()) {
    if (key != "__metadata__") {
      tensors_.emplace(key, parse_tensor(entry, data, name_, key));
      continue;
    }
    if (!entry.is_object()) broken(name_, "its __metadata__ is no object");
    for (const auto& [field, value] : entry.items()) {
      if (!value.is_string()) broken(name_, fmt::format("metadata {} is no string", field));
      metadata_.emplace(field, value.get<std::string>());
    }
  }
  check_coverage(tensors_, data, name_);
}

const TensorView& SafeTensors::at(const std::string& tensor) const {
  const auto found = tensors_.find(tensor);
  if (found == tensors_.end()) {
    std::string names;
    for (const auto& [key, view] : tensors_) names += (names.empty() ? "" : ", ") + key;
    throw UsageError(fmt::format("{} has no tensor {} (it holds: {}); write it with epskew gen", name_,
                                 tensor, names.empty() ? "nothing" : names));
  }
  return found->second;
}

bool looks_like_safetensors(std::string_view bytes) {
  return bytes.size() > length_bytes && bytes[length_bytes] == '{' &&
         header_length(bytes) <= max_header_bytes;
}

void write_safetensors(const OutputFile& file, const std::map<std::string, TensorView>& tensors,
                       const std::map<std::string, std::string>& metadata) {
  std::string header = dump_json(describe(tensors, metadata));
  // Tensor data starts at a multiple of 8, so that readers may map it in place.
  header.resize((header.size() + 7) / 8 * 8, ' ');
  const std::uint64_t length = header.size();
  std::string prefix(length_bytes, '\0');
  std::memcpy(prefix.data(), &length, length_bytes);
  std::vector<std::string_view> parts = {prefix, header};
  for (const auto& [key, tensor] : tensors) parts.push_back(tensor.bytes);
  file.write(parts);
}

}  // namespace epskew
