#pragma once

#include <map>
#include <optional>
#include <string>

#include "epskew/backends/registry.hpp"
#include "epskew/exchange/shape.hpp"

namespace epskew::testing {

/// The backend that this executable of the suite is about.
const Backend& backend_under_test();

/// Why this executable cannot make a world of that shape here (the ranks are processes that somebody else
/// started); nullopt where it can.
std::optional<std::string> unfit(const ExchangeShape& shape);
/// The variants that this executable of the suite is about.
std::map<std::string, std::string> variants_under_test();

}  // namespace epskew::testing
