#pragma once

#include <string>

#include "epskew/fit/fit.hpp"

namespace epskew {

/// The report as text that a person reads at a glance: a table a level, windows, how skew falls with experts
/// per rank, and one sentence of conclusion a level. Tables are at most 100 columns wide.
std::string to_text(const FitReport& report);

}  // namespace epskew
