#pragma once

/// Numbers as text: rounded for reading, with the exact value and its place in the result file beside it.

#include <cstdint>
#include <optional>
#include <string>

#include "report/html/page.hpp"

namespace epskew {

Value words(std::string text);
Value integer(std::int64_t value, std::string source = {});
/// Fixed decimals.
Value decimal(double value, int decimals, std::string source = {});
/// Microseconds, gigabytes per second and the like: two decimals below 10, one below 100, none from there;
/// below 0.1 three digits.
Value amount(std::optional<double> value, std::string source = {});

/// Where numbers of one round of one result come from: at("load/rank/max") is "0:/rounds/3/load/rank/max".
struct RoundSource {
  std::size_t result = 0;
  std::size_t round = 0;
  std::string at(const std::string& path) const;
};

}  // namespace epskew
