#include "epskew/trace/recognise.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "epskew/support/error.hpp"
#include "epskew/support/npy.hpp"
#include "epskew/support/safetensors.hpp"
#include "trace/lines.hpp"
#include "trace/readers.hpp"

namespace epskew {
namespace {

/// The first line that is neither empty nor a comment.
std::string_view first_line(std::string_view text) {
  while (!text.empty()) {
    const std::string_view line = trimmed(take_field(text, '\n'));
    if (!line.empty() && line != "\r" && line.front() != '#') return line;
  }
  return {};
}

/// Numbers between tabs: ESFT text whose weights were cut off.
bool looks_like_ids(std::string_view line) {
  return line.find('\t') != std::string_view::npos &&
         line.find_first_not_of("0123456789\t\r") == std::string_view::npos;
}

void refuse_containers(std::string_view bytes, const std::string& name) {
  const bool is_zip = bytes.starts_with("PK\x03\x04");
  const bool is_pickle = bytes.starts_with('\x80');
  if (is_zip || is_pickle) {
    throw UsageError(
        fmt::format("{} is a {} (as torch.save or pickle write it; reading one can run code); convert it "
                    "with tools/convert_pt.py",
                    name, is_zip ? "zip archive" : "pickle"));
  }
  if (bytes.starts_with("\x1f\x8b") || bytes.starts_with("\x28\xb5\x2f\xfd")) {
    throw UsageError(fmt::format("{} is compressed (plain files are read); unpack it first", name));
  }
}

/// What bench, inspect and compare write is one object over many lines, a member among them its version; what
/// fit writes is one line that begins with it.
void refuse_our_reports(std::string_view bytes, const std::string& name) {
  const std::string_view searched = bytes.starts_with("{\n") ? bytes : bytes.substr(0, 200);
  if (!bytes.starts_with('{') || searched.find("\"schema_version\"") == std::string_view::npos) return;
  throw UsageError(fmt::format(
      "{} is what epskew made of a routing (the routing itself is not in it); name the recording or the "
      "routing file, or show a result of bench with epskew report",
      name));
}

}  // namespace

const char* name_of(TraceFormat format) {
  switch (format) {
    case TraceFormat::esft:
      return "esft";
    case TraceFormat::csv:
      return "csv";
    case TraceFormat::jsonl:
      return "jsonl";
    case TraceFormat::npy:
      return "npy";
    case TraceFormat::routing:
      return "epskew";
  }
  return "";
}

std::optional<TraceFormat> recognised(std::string_view bytes, const std::filesystem::path& path) {
  // First of all: the length of a header may begin with the byte that a pickle begins with.
  if (looks_like_safetensors(bytes)) return TraceFormat::routing;
  refuse_containers(bytes, path.string());
  const std::string extension = path.extension().string();
  if (looks_like_npy(bytes) || extension == ".npy") return TraceFormat::npy;
  if (extension == ".safetensors") return TraceFormat::routing;
  refuse_our_reports(bytes, path.string());
  const std::string_view line = first_line(bytes);
  if (line.starts_with('{') || extension == ".jsonl") return TraceFormat::jsonl;
  if (line.find("\t\t") != std::string_view::npos || looks_like_ids(line) || is_esft_name(path))
    return TraceFormat::esft;
  if (std::count(line.begin(), line.end(), ',') == 2 || extension == ".csv") return TraceFormat::csv;
  return std::nullopt;
}

TraceFormat recognise(std::string_view bytes, const std::filesystem::path& path) {
  if (const auto format = recognised(bytes, path)) return *format;
  throw UsageError(
      fmt::format("{} is in no format this program knows (ESFT text, CSV layer,expert,count, JSON lines, "
                  ".npy, TensorRT-LLM folder, epskew routing file); convert it to one of them",
                  path.string()));
}

bool is_esft_name(const std::filesystem::path& path) {
  return path.filename().string().starts_with("expert_weights_") && path.extension() == ".txt" &&
         esft_layer_of(path).has_value();
}

}  // namespace epskew
