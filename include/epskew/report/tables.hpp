#pragma once

/// A record as text for a terminal: plain ASCII, at most 120 columns wide for times below one second.

#include <string>

#include "epskew/report/record.hpp"

namespace epskew {

/// "after 5 warm-up" or "in 4 passes, 5 warm-up in each".
std::string passes_text(const ConfigRecord& config);
/// What was run: backend, shape, formats, iterations. A few lines.
std::string describe_run(const Record& record);
/// A round with a line for each rank: its load, its times, how often it was the slowest (ties shared; "-"
/// where all ranks are as slow).
std::string describe_ranks(const RoundRecord& round);
/// One line for a finished round: "3.0 (3.00)       hot rank 6 at 3042 of mean 1014.0 selections,
/// dispatch+combine p50 8573.7 us, oracle passed".
std::string describe_round(const RoundRecord& round);
/// The per-rank token distribution; times of dispatch+combine, dispatch, combine, and of their halves; what
/// imbalance costs. A "-" stands for null and a footnote says why.
std::string tables(const Record& record);

}  // namespace epskew
