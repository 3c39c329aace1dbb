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

/// Rows that the payload must hold: one a row, or, rank-major, as many as are referred to.
std::size_t num_stored_rows(const DispatchOutput& output) {
  if (output.storage_row.empty())
    return static_cast<std::size_t>(std::max<std::int64_t>(output.num_rows(), 0));
  const std::int64_t last = *std::max_element(output.storage_row.begin(), output.storage_row.end());
  return static_cast<std::size_t>(std::max<std::int64_t>(last + 1, 0));
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
  for (const std::int32_t row : output.storage_row) {
    if (row < 0) {
      return Mismatch{"dispatch", rank, rank, -1, -1, -1, fmt::format("storage rows: {} is none", row)};
    }
  }
  const std::size_t stored = num_stored_rows(output);
  if (auto wrong = wrong_size(rank, "bytes of rows", stored * row_bytes(output.format, shape.hidden),
                              output.rows.size())) {
    return wrong;
  }
  if (auto wrong = wrong_size(rank, "source tokens", rows, output.source_token.size())) return wrong;
  if (auto wrong =
          wrong_size(rank, "storage rows", output.storage_row.empty() ? 0 : rows, output.storage_row.size()))
    return wrong;
  if (auto wrong = wrong_size(rank, "scales", floats ? stored * groups : 0, output.scales.size()))
    return wrong;
  return wrong_size(rank, "scale bytes", bytes ? stored * groups : 0, output.scale_bytes.size());
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
    const bool gap = expected.may_have_gaps() && range.begin > next;
    if (range.begin != next && !gap) {
      return mismatch(expected.rank(),
                      fmt::format("row ranges: expected one to begin at {}, found {}", next, range.begin));
    }
    next = range.begin + range.count;
  }
  if (next > segment.begin + segment.count) {
    return mismatch(expected.rank(), fmt::format("row ranges: the last ends at {}, beyond row {}", next,
                                                 segment.begin + segment.count));
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

ExpectedRows::ExpectedRows(const RoutingTable& table, int rank, std::span<const std::uint8_t> lost)
    : rank_(rank),
      first_expert_(rank * table.experts_per_rank()),
      num_ranks_(table.num_ranks()),
      may_have_gaps_(std::find(lost.begin(), lost.end(), 1) != lost.end()),
      tokens_(static_cast<std::size_t>(table.experts_per_rank()) *
              static_cast<std::size_t>(table.num_ranks())) {
  for (int source = 0; source < num_ranks_; ++source) {
    if (lost[static_cast<std::size_t>(source)] != 0) continue;
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
    const std::int64_t wanted = expected.count(expert);
    const bool right = expected.may_have_gaps() ? segment.count >= wanted : segment.count == wanted;
    if (segment.begin != begin || !right) {
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
