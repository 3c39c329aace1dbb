#pragma once

/// The result file: a Record as JSON (schema/result.schema.json).

#include <filesystem>
#include <string>
#include <string_view>

#include "epskew/report/record.hpp"

namespace epskew {

/// The whole file: one line a member, one line a round. The same record gives the same bytes.
std::string to_json(const Record& record);

/// The member "load" of a round by itself.
std::string to_json(const RoutingLoad& load);

/// Throws UsageError, beginning with `source` (a file name for messages), for what is not a result file of a
/// schema version this program reads (same major version, same or lower minor), is truncated, or lacks a
/// field; for a file of another kind that epskew knows, with the command that reads it.
Record from_json(std::string_view text, const std::string& source);

/// Throws UsageError for a file that cannot be read, else as from_json.
Record read_record(const std::filesystem::path& file);

}  // namespace epskew
