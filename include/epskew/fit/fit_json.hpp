#pragma once

#include <string>
#include <vector>

#include "epskew/fit/fit.hpp"

namespace epskew {

/// The version of the file format; it follows the rules of schema/README.md.
inline constexpr const char* fit_schema_version = "1.1.0";

/// What the program knows about the run and the library does not.
struct FitRun {
  std::string tool_version;
  std::vector<std::string> argv;
  std::string created;  ///< UTC, ISO 8601, e.g. 2026-11-24T07:30:00Z
};

/// The report as the JSON text of schema/fit.schema.json, ending in a newline. Curves and loads are rounded
/// to 6 significant digits, everything else to 10.
std::string to_json(const FitReport& report, const FitRun& run);

}  // namespace epskew
