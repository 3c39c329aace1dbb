#include "strict_values.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <string_view>

#include "epskew/support/error.hpp"

namespace epskew::app {
namespace {

/// "1,,2", ",1", "1,": numbers between commas, one of them missing.
bool lacks_a_number(std::string_view list) {
  if (list.find(',') == std::string_view::npos) return false;
  if (list.find_first_not_of("0123456789.,") != std::string_view::npos) return false;
  return list.starts_with(',') || list.ends_with(',') || list.find(",,") != std::string_view::npos;
}

template <class T>
bool fits(std::string_view digits) {
  T value{};
  return std::from_chars(digits.data(), digits.data() + digits.size(), value).ec == std::errc{};
}

/// Of text that is a sign and decimal digits, the number without leading zeros; all other text is returned as
/// it is, for the conversion that follows to judge.
std::string plain_number(const std::string& name, const std::string& text, bool is_unsigned) {
  const bool is_negative = text.starts_with('-');
  const std::size_t sign = is_negative || text.starts_with('+') ? 1 : 0;
  if (text.size() == sign || text.find_first_not_of("0123456789", sign) != std::string::npos) return text;
  if (is_negative && is_unsigned)
    throw UsageError(fmt::format("{} {} is negative (it counts from 0); choose 0 or more", name, text));
  const std::size_t first = std::min(text.find_first_not_of('0', sign), text.size() - 1);
  const std::string plain = (is_negative ? "-" : "") + text.substr(first);
  if (!(is_unsigned ? fits<std::uint64_t>(plain) : fits<std::int64_t>(plain))) {
    throw UsageError(fmt::format(
        "{} {} is out of range (no number of 64 bits holds it); choose one nearer to 0", name, text));
  }
  return plain;
}

}  // namespace

void refuse_empty_values(const std::vector<std::string>& words) {
  std::string flag;
  for (std::size_t i = 0; i < words.size(); ++i) {
    std::string_view value = words[i];
    if (value.starts_with("--") && value.find('=') != std::string_view::npos) {
      flag = value.substr(0, value.find('='));
      value.remove_prefix(flag.size() + 1);
    } else if (value.starts_with('-') && value.size() > 1 && value.find_first_of("0123456789") != 1) {
      flag = value;
      continue;
    }
    const std::string name = flag.empty() ? fmt::format("argument {}", i + 1) : flag;
    if (value.empty()) {
      throw UsageError(fmt::format("{} is empty (is a variable of the shell not set?); give {}", name,
                                   flag.empty() ? "a value or drop it" : "it a value or drop it"));
    }
    if (lacks_a_number(value)) {
      throw UsageError(
          fmt::format("{} {} has an empty place (a number belongs between commas); correct it", name, value));
    }
    flag.clear();
  }
}

void read_whole_numbers_as_they_stand(CLI::App& app) {
  for (CLI::Option* option : app.get_options()) {
    const std::string type = option->get_type_name();
    const bool is_unsigned = type.starts_with("UINT");
    if (!is_unsigned && !type.starts_with("INT")) continue;
    const auto read = [name = option->get_name(), is_unsigned](std::string& text) {
      text = plain_number(name, text, is_unsigned);
      return std::string();
    };
    option->transform(CLI::Validator(read, ""));
  }
  for (CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; }))
    read_whole_numbers_as_they_stand(*command);
}

}  // namespace epskew::app
