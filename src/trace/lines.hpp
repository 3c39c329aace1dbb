#pragma once

#include <cstdint>
#include <string_view>

namespace epskew {

/// Calls use(line, number) for every line of `text`, numbered from 1, without its line end ("\n" or "\r\n").
template <class Use>
void for_each_line(std::string_view text, Use&& use) {
  for (std::int64_t number = 1; !text.empty(); ++number) {
    const std::size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    use(line, number);
  }
}

/// `text` without spaces and tabs at its ends.
inline std::string_view trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

/// Cuts `text` at the first `separator`: returns what is before it and leaves what follows; all of it where
/// there is none.
inline std::string_view take_field(std::string_view& text, char separator) {
  const std::size_t end = text.find(separator);
  const std::string_view field = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  return field;
}

}  // namespace epskew
