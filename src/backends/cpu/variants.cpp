#include "backends/cpu/variants.hpp"

#include <fmt/format.h>

#include <charconv>

#include "epskew/support/error.hpp"

namespace epskew::cpu {
namespace {

int parse_delay(const std::string& text) {
  int value = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 0 || value > 1'000'000) {
    throw UsageError(fmt::format(
        "variant inject_delay_us={} is not a pause in microseconds; give a number from 0 to 1000000", text));
  }
  return value;
}

}  // namespace

Variants parse_variants(const ExchangeOptions& options) {
  Variants variants;
  for (const auto& [name, value] : options.variants) {
    if (name == "inject_delay_us") {
      variants.delay_us = parse_delay(value);
    } else {
      throw UsageError(
          fmt::format("--backend cpu has no variant '{}' (it knows inject_delay_us); leave it out", name));
    }
  }
  return variants;
}

}  // namespace epskew::cpu
