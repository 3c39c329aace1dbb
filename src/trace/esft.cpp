#include <fmt/format.h>

#include <charconv>
#include <vector>

#include "epskew/support/error.hpp"
#include "trace/lines.hpp"
#include "trace/numbers.hpp"
#include "trace/readers.hpp"

namespace epskew {
namespace {

/// What the ESFT recordings have; the text itself does not say where a token ends.
constexpr int esft_topk = 6;

template <class Number>
void parse_fields(std::string_view text, std::string_view what, const Where& where,
                  std::vector<Number>& into) {
  into.clear();
  while (!text.empty()) into.push_back(parse_number<Number>(take_field(text, '\t'), what, where));
}

}  // namespace

std::optional<int> esft_layer_of(const std::filesystem::path& path) {
  const std::string stem = path.stem().string();
  const std::size_t digits = stem.find_last_not_of("0123456789") + 1;
  int layer = 0;
  const auto [end, error] = std::from_chars(stem.data() + digits, stem.data() + stem.size(), layer);
  if (error != std::errc()) return std::nullopt;
  return layer;
}

void parse_esft(std::string_view text, std::string_view name, int layer, TraceBuilder& builder) {
  const auto topk = static_cast<std::size_t>(builder.options().topk.value_or(esft_topk));
  std::vector<std::int64_t> ids;
  std::vector<float> weights;
  for_each_line(text, [&](std::string_view line, std::int64_t number) {
    if (line.empty()) return;
    const Where where{name, "line", number};
    const std::size_t gap = line.find("\t\t");
    if (gap == std::string_view::npos) {
      throw UsageError(fmt::format(
          "{} has no empty field between ids and weights (truncated, or no ESFT text); copy the file again",
          where.text()));
    }
    parse_fields(line.substr(0, gap), "an expert id", where, ids);
    parse_fields(line.substr(gap + 2), "a gate weight", where, weights);
    if (ids.size() != weights.size()) {
      throw UsageError(
          fmt::format("{} has {} ids and {} weights (one weight an id was expected); copy the file again",
                      where.text(), ids.size(), weights.size()));
    }
    if (ids.empty() || ids.size() % topk != 0) {
      throw UsageError(
          fmt::format("{} has {} ids (a multiple of top-k {} was expected); state another with --num-topk",
                      where.text(), ids.size(), topk));
    }
    for (std::size_t first = 0; first < ids.size(); first += topk) {
      builder.add_row(layer, std::span(ids).subspan(first, topk),
                      std::span<const float>(weights).subspan(first, topk), where);
    }
  });
}

}  // namespace epskew
