#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace epskew {

/// Throws UsageError, starting with `what`, with the line of the first error.
nlohmann::json parse_json(std::string_view text, const std::string& what);

/// read_file, then parse_json. Files above 64 MiB are refused.
nlohmann::json read_json_file(const std::filesystem::path& path);

}  // namespace epskew
