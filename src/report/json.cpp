#include "epskew/report/json.hpp"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <fstream>
#include <iterator>

#include "epskew/support/error.hpp"
#include "epskew/support/json_file.hpp"
#include "report/consistency.hpp"
#include "report/json_fields.hpp"
#include "report/other_files.hpp"

namespace epskew {
namespace {

using nlohmann::json;

// Members in the order a reader wants them; rounds follow.
constexpr std::array head = {"schema_version", "tool",      "command",    "argv",
                             "created",        "host",      "cpu",        "gpu",
                             "driver",         "libraries", "build",      "config",
                             "topology",       "emulation", "simulation", "link_assumption"};

struct SchemaVersion {
  int major = -1;
  int minor = -1;
};

// Three whole numbers; {} for anything else.
SchemaVersion parse_version(std::string_view text) {
  std::array<int, 3> parts = {-1, -1, -1};
  const char* at = text.data();
  const char* const end = at + text.size();
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (i > 0 && (at == end || *at++ != '.')) return {};
    const auto [stop, error] = std::from_chars(at, end, parts[i]);
    if (error != std::errc{} || *at == '-') return {};
    at = stop;
  }
  return at == end ? SchemaVersion{parts[0], parts[1]} : SchemaVersion{};
}

void check_version(const json& file, const std::string& source) {
  const auto member = file.find("schema_version");
  if (!file.is_object() || member == file.end() || !member->is_string()) {
    throw UsageError(source +
                     " is not an epskew result file (it has no schema_version); give one written by --json");
  }
  const auto& text = member->get_ref<const std::string&>();
  const SchemaVersion found = parse_version(text);
  const SchemaVersion known = parse_version(record_schema_version);
  if (found.major != known.major || found.minor > known.minor) {
    throw UsageError(
        fmt::format("{} has schema version {} (this program reads {}.0 to {}); use the epskew that wrote it",
                    source, text, known.major, record_schema_version));
  }
}

// "[json.exception.type_error.302] type must be …" → "type must be …"
std::string reason(const std::exception& error) {
  const std::string what = error.what();
  const auto close = what.find("] ");
  return what.starts_with('[') && close != std::string::npos ? what.substr(close + 2) : what;
}

json parse(std::string_view text, const std::string& source) {
  try {
    return json::parse(text);
  } catch (const json::exception& error) {
    refuse_other_formats(text, source);
    throw UsageError(fmt::format("{} is not a whole JSON file ({}); run the benchmark again with --json",
                                 source, reason(error)));
  }
}

}  // namespace

std::string to_json(const Record& record) {
  const json file = record;
  std::string text = "{\n";
  for (const char* key : head) text += fmt::format("\"{}\": {},\n", key, dump_json(file.at(key)));
  text += "\"rounds\": [";
  const char* separator = "\n";
  for (const json& round : file.at("rounds")) {
    text += separator + dump_json(round);
    separator = ",\n";
  }
  return text + "\n]\n}\n";
}

std::string to_json(const RoutingLoad& load) {
  return json(load).dump();
}

Record from_json(std::string_view text, const std::string& source) {
  const json file = parse(text, source);
  refuse_other_documents(file, source);
  check_version(file, source);
  Record record;
  try {
    from_json(file, record);
  } catch (const std::exception& error) {
    throw UsageError(
        fmt::format("{} is not a complete epskew result file ({}); run the benchmark again with --json",
                    source, reason(error)));
  }
  check_consistent(record, source);
  return record;
}

Record read_record(const std::filesystem::path& file) {
  std::error_code ignored;
  const bool is_folder = std::filesystem::is_directory(file, ignored);
  std::ifstream in(file, std::ios::binary);  // a pipe is welcome: <(zcat result.json.gz)
  if (!in || is_folder) {
    throw UsageError(fmt::format("{} cannot be read ({}); give a file written by --json", file.string(),
                                 is_folder ? "it is a folder" : "no such file, or no permission"));
  }
  const std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  return from_json(text, file.string());
}

}  // namespace epskew
