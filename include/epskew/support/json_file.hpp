#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace epskew {

/// Throws UsageError, starting with `what`, with the line of the first error.
nlohmann::json parse_json(std::string_view text, const std::string& what);

/// As nlohmann's dump (`indent` < 0: one line), but text that is not UTF-8 (an argument, a file's name) costs
/// its odd bytes, U+FFFD for each, and not the whole file.
std::string dump_json(const nlohmann::json& json, int indent = -1);
std::string dump_json(const nlohmann::ordered_json& json, int indent = -1);

/// read_file, then parse_json. Files above 64 MiB are refused.
nlohmann::json read_json_file(const std::filesystem::path& path);

}  // namespace epskew
