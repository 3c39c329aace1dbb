#pragma once

#include <string>

#include "epskew/report/record.hpp"

namespace epskew {

/// One row for each round and measured phase; the columns are documented in schema/README.md. An empty cell
/// is null.
std::string to_csv(const Record& record);

}  // namespace epskew
