#include "oracle_layout.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace epskew {
namespace {

std::optional<Mismatch> wrong_size(int rank, const char* what, std::size_t expected, std::size_t found) {
  if (found == expected) return std::nullopt;
  return Mismatch{
      "dispatch", rank, rank, -1, -1, -1, fmt::format("{}: expected {}, found {}", what, expected, found)};
}

std::optional<Mismatch> check_sizes(int rank, const ExchangeShape& shape, const ExchangeOptions& options,
                                    const DispatchOutput& output) {
  const auto experts = static_cast<std::size_t>(shape.experts_per_rank());
  const auto ranks = static_cast<std::size_t>(shape.num_ranks);
  if (output.format != options.dispatch) {
    return Mismatch{
        "dispatch",
        rank,
        rank,
        -1,
        -1,
        -1,
        fmt::format("expected format {}, found {}", name_of(options.dispatch), name_of(output.format))};
  }
  if (auto wrong = wrong_size(rank, "expert_begin entries", experts + 1, output.expert_begin.size()))
    return wrong;
  if (auto wrong = wrong_size(rank, "source_range entries", experts * ranks, output.source_range.size()))
    return wrong;
  const auto rows = static_cast<std::size_t>(std::max<std::int64_t>(output.num_rows(), 0));
  const auto groups = static_cast<std::size_t>(shape.num_scales());
  const bool bytes = output.format == DispatchFormat::fp8_ue8m0;
  const bool floats = is_fp8(output.format) && !bytes;
  if (auto wrong = wrong_size(rank, "bytes of rows", rows * row_bytes(output.format, shape.hidden),
                              output.rows.size())) {
    return wrong;
  }
  if (auto wrong = wrong_size(rank, "source tokens", rows, output.source_token.size())) return wrong;
  if (auto wrong = wrong_size(rank, "scales", floats ? rows * groups : 0, output.scales.size())) return wrong;
  return wrong_size(rank, "scale bytes", bytes ? rows * groups : 0, output.scale_bytes.size());
}

/// The ranges of one expert cover its segment without overlap, each with the count of the routing.
std::optional<Mismatch> check_ranges(const ExpectedRows& expected, int expert,
                                     std::span<const RowRange> ranges, RowRange segment) {
  const auto mismatch = [&](int source, std::string detail) {
    return Mismatch{"dispatch", expected.rank(),  source, -1, expected.first_expert() + expert,
                    -1,         std::move(detail)};
  };
  std::vector<RowRange> sorted;
  for (std::size_t source = 0; source < ranges.size(); ++source) {
    const auto count = expected.tokens(expert, static_cast<int>(source)).size();
    if (ranges[source].count != static_cast<std::int32_t>(count)) {
      return mismatch(static_cast<int>(source),
                      fmt::format("rows: expected {}, found {}", count, ranges[source].count));
    }
    if (count > 0) sorted.push_back(ranges[source]);
  }
  std::sort(sorted.begin(), sorted.end(), [](RowRange a, RowRange b) { return a.begin < b.begin; });
  std::int32_t next = segment.begin;
  for (const RowRange range : sorted) {
    if (range.begin != next) {
      return mismatch(expected.rank(),
                      fmt::format("row ranges: expected one to begin at {}, found {}", next, range.begin));
    }
    next += range.count;
  }
  return std::nullopt;
}

std::optional<Mismatch> check_tokens(const ExpectedRows& expected, int expert, int source,
                                     std::span<const std::int32_t> found) {
  std::vector<std::int32_t> sorted(found.begin(), found.end());
  std::sort(sorted.begin(), sorted.end());
  const auto wanted = expected.tokens(expert, source);
  for (std::size_t i = 0; i < sorted.size(); ++i) {
    if (sorted[i] == wanted[i]) continue;
    return Mismatch{"dispatch",
                    expected.rank(),
                    source,
                    wanted[i],
                    expected.first_expert() + expert,
                    -1,
                    fmt::format("source tokens: expected {}, found {}", wanted[i], sorted[i])};
  }
  return std::nullopt;
}

}  // namespace

ExpectedRows::ExpectedRows(const RoutingTable& table, int rank)
    : rank_(rank),
      first_expert_(rank * table.experts_per_rank()),
      num_ranks_(table.num_ranks()),
      tokens_(static_cast<std::size_t>(table.experts_per_rank()) *
              static_cast<std::size_t>(table.num_ranks())) {
  for (int source = 0; source < num_ranks_; ++source) {
    const auto experts = table.experts_of_rank(source);
    for (std::size_t i = 0; i < experts.size(); ++i) {
      const std::int32_t expert = experts[i];
      if (expert < first_expert_ || expert >= first_expert_ + table.experts_per_rank()) continue;
      tokens_[cell(expert - first_expert_, source)].push_back(
          static_cast<std::int32_t>(i / static_cast<std::size_t>(table.topk)));
    }
  }
}

std::span<const std::int32_t> ExpectedRows::tokens(int local_expert, int source) const {
  return tokens_[cell(local_expert, source)];
}

std::int64_t ExpectedRows::count(int local_expert) const {
  std::int64_t sum = 0;
  for (int source = 0; source < num_ranks_; ++source) {
    sum += static_cast<std::int64_t>(tokens(local_expert, source).size());
  }
  return sum;
}

std::optional<Mismatch> check_layout(const ExpectedRows& expected, const ExchangeShape& shape,
                                     const ExchangeOptions& options, const DispatchOutput& output) {
  if (auto wrong = check_sizes(expected.rank(), shape, options, output)) return wrong;
  std::int64_t begin = 0;
  for (int expert = 0; expert < shape.experts_per_rank(); ++expert) {
    const auto local = static_cast<std::size_t>(expert);
    const auto ranks = static_cast<std::size_t>(shape.num_ranks);
    const RowRange segment{output.expert_begin[local],
                           output.expert_begin[local + 1] - output.expert_begin[local]};
    if (segment.begin != begin || segment.count != expected.count(expert)) {
      return Mismatch{"dispatch",
                      expected.rank(),
                      expected.rank(),
                      -1,
                      expected.first_expert() + expert,
                      -1,
                      fmt::format("rows: expected {} from row {}, found {} from row {}",
                                  expected.count(expert), begin, segment.count, segment.begin)};
    }
    const auto ranges = output.source_range.subspan(local * ranks, ranks);
    if (auto wrong = check_ranges(expected, expert, ranges, segment)) return wrong;
    for (int source = 0; source < shape.num_ranks; ++source) {
      const RowRange range = ranges[static_cast<std::size_t>(source)];
      const auto found =
          output.source_token.subspan(range.count == 0 ? 0 : static_cast<std::size_t>(range.begin),
                                      static_cast<std::size_t>(range.count));
      if (auto wrong = check_tokens(expected, expert, source, found)) return wrong;
    }
    begin += segment.count;
  }
  return std::nullopt;
}

}  // namespace epskew
