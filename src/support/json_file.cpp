#include "epskew/support/json_file.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "epskew/support/error.hpp"
#include "epskew/support/file.hpp"

namespace epskew {

nlohmann::json parse_json(std::string_view text, const std::string& what) {
  try {
    return nlohmann::json::parse(text);
  } catch (const nlohmann::json::parse_error& error) {
    const auto before = text.substr(0, std::min<std::size_t>(error.byte, text.size()));
    throw UsageError(fmt::format("{} is no valid JSON (error at line {}, byte {}); mend or write it again",
                                 what, 1 + std::count(before.begin(), before.end(), '\n'), error.byte));
  } catch (const nlohmann::json::exception&) {
    // Of what is left the parser only throws for numbers beyond a double.
    throw UsageError(
        fmt::format("{} holds a number that is out of range (beyond 1.8e308); mend or write it again", what));
  }
}

std::string dump_json(const nlohmann::json& json, int indent) {
  return json.dump(indent, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string dump_json(const nlohmann::ordered_json& json, int indent) {
  return json.dump(indent, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

nlohmann::json read_json_file(const std::filesystem::path& path) {
  constexpr std::uint64_t max_bytes = std::uint64_t{64} << 20;
  return parse_json(read_file(path, max_bytes), path.string());
}

}  // namespace epskew
