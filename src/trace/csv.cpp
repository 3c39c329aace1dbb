#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <set>
#include <utility>

#include "epskew/support/error.hpp"
#include "trace/lines.hpp"
#include "trace/numbers.hpp"
#include "trace/readers.hpp"

namespace epskew {
namespace {

constexpr std::size_t num_columns = 3;
using Fields = std::array<std::string_view, num_columns>;
/// Which of the three fields holds layer, expert and count.
struct Columns {
  std::size_t layer = 0;
  std::size_t expert = 1;
  std::size_t count = 2;
};

Fields split(std::string_view line, const Where& where) {
  Fields fields;
  const auto separators = static_cast<std::size_t>(std::count(line.begin(), line.end(), ','));
  if (separators + 1 != num_columns) {
    throw UsageError(fmt::format("{} has {} fields (layer,expert,count was expected); correct the line",
                                 where.text(), separators + 1));
  }
  for (std::string_view& field : fields) field = trimmed(take_field(line, ','));
  return fields;
}

std::optional<std::size_t> find_column(const Fields& fields, std::initializer_list<std::string_view> names) {
  for (std::size_t i = 0; i < fields.size(); ++i) {
    if (std::find(names.begin(), names.end(), fields[i]) != names.end()) return i;
  }
  return std::nullopt;
}

bool is_number(std::string_view text) {
  return !text.empty() && text.find_first_not_of("+-.0123456789") == std::string_view::npos;
}

Columns parse_header(const Fields& fields, const Where& where) {
  const auto layer = find_column(fields, {"layer", "layer_id", "layer_idx"});
  const auto expert = find_column(fields, {"expert", "expert_id", "expert_idx"});
  const auto count = find_column(fields, {"count", "counts"});
  if (!layer || !expert || !count) {
    throw UsageError(
        fmt::format("{} is a header without layer, expert and count (those columns are needed); name them so",
                    where.text()));
  }
  return {*layer, *expert, *count};
}

}  // namespace

void parse_csv(std::string_view text, std::string_view name, TraceBuilder& builder) {
  Columns columns;
  bool is_first = true;
  std::set<std::pair<std::int64_t, std::int64_t>> seen;
  for_each_line(text, [&](std::string_view line, std::int64_t number) {
    line = trimmed(line);
    if (line.empty() || line.front() == '#') return;
    const Where where{name, "line", number};
    const Fields fields = split(line, where);
    if (std::exchange(is_first, false) && std::none_of(fields.begin(), fields.end(), is_number)) {
      columns = parse_header(fields, where);
      return;
    }
    const auto layer = parse_number<std::int64_t>(fields[columns.layer], "the layer", where);
    const auto expert = parse_number<std::int64_t>(fields[columns.expert], "the expert", where);
    const auto count = parse_number<std::int64_t>(fields[columns.count], "the count", where);
    if (!seen.emplace(layer, expert).second) {
      throw UsageError(fmt::format(
          "{} counts layer {}, expert {} a second time (one line each was expected); add the lines up",
          where.text(), layer, expert));
    }
    builder.add_count(layer, 0, expert, count, where);
  });
}

}  // namespace epskew
