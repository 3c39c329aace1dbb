#include "report/html/number.hpp"

#include <fmt/format.h>

#include <cmath>
#include <utility>

#include "report/decimals.hpp"

namespace epskew {

Value words(std::string text) {
  return {std::move(text)};
}

Value integer(std::int64_t value, std::string source) {
  return {fmt::format("{}", value), static_cast<double>(value), std::move(source)};
}

Value decimal(double value, int decimals, std::string source) {
  return {fmt::format("{:.{}f}", value, decimals), value, std::move(source)};
}

Value amount(std::optional<double> value, std::string source) {
  if (!value) return {"–", std::nullopt, {}, true};
  const double size = std::abs(*value);
  const int decimals = size < 0.1 ? decimals_of(size, 2) : size < 10 ? 2 : size < 100 ? 1 : 0;
  return decimal(*value, decimals, std::move(source));
}

std::string RoundSource::at(const std::string& path) const {
  return fmt::format("{}:/rounds/{}/{}", result, round, path);
}

}  // namespace epskew
