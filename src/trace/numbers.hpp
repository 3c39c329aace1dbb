#pragma once

#include <fmt/format.h>

#include <charconv>
#include <string_view>
#include <system_error>

#include "epskew/support/error.hpp"
#include "trace/where.hpp"

namespace epskew {

/// The whole of `text` as a number. Throws UsageError naming the place, `what` and the text.
template <class Number>
Number parse_number(std::string_view text, std::string_view what, const Where& where) {
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc() && end == text.data() + text.size()) return value;
  // A broken file may have a line of any length, and any bytes in it.
  constexpr std::size_t shown = 24;
  throw UsageError(fmt::format("{} has {:?} for {} (a number that fits was expected); correct the file",
                               where.text(), std::string(text.substr(0, shown)), what));
}

}  // namespace epskew
