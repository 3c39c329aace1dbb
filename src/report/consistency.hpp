#pragma once

#include <string>

#include "epskew/report/record.hpp"

namespace epskew {

/// Throws UsageError, beginning with `source`, where the arrays of a record do not have the lengths that its
/// number of ranks and experts asks for: readers may then index them without a check of their own.
void check_consistent(const Record& record, const std::string& source);

}  // namespace epskew
