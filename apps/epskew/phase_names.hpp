#pragma once

#include <string>
#include <vector>

#include "epskew/exchange/phase.hpp"

namespace epskew::app {

/// The phases that --phase names. Throws UsageError for an unknown one.
std::vector<Phase> phases_of_names(const std::vector<std::string>& names);

}  // namespace epskew::app
