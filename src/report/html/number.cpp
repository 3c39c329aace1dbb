#include "report/html/number.hpp"

#include <fmt/format.h>

#include <cmath>
#include <utility>

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
  return decimal(*value, size < 10 ? 2 : size < 100 ? 1 : 0, std::move(source));
}

std::string RoundSource::at(const std::string& path) const {
  return fmt::format("{}:/rounds/{}/{}", result, round, path);
}

}  // namespace epskew
