#pragma once

/// The page with the plots: one HTML file that fetches nothing.

#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>

#include "epskew/fit/fit.hpp"
#include "epskew/fit/fit_json.hpp"
#include "epskew/report/named_record.hpp"

namespace epskew {

/// What imbalance costs, from one or more results; several are drawn over one another. Throws UsageError for
/// none.
std::string report_page(std::span<const NamedRecord> results);

/// What a recording looks like: its sorted loads against every fitted law.
std::string fit_page(const FitReport& report, const FitRun& run);

}  // namespace epskew
