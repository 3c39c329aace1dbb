#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "report/html/sections.hpp"

namespace epskew {
namespace {

constexpr std::size_t most_bins = 64;  // rows and columns of a map; more ranks are summed in blocks

std::string bin_name(std::size_t bin, std::size_t width, std::size_t ranks) {
  const std::size_t first = bin * width;
  const std::size_t last = std::min(first + width, ranks) - 1;
  return first == last ? fmt::format("{}", first) : fmt::format("{}–{}", first, last);
}

/// Sums [ranks][ranks] selections into [bins][bins] blocks of `width` ranks.
std::vector<std::int64_t> blocks(const std::vector<std::int64_t>& selections, std::size_t ranks,
                                 std::size_t width) {
  const std::size_t bins = (ranks + width - 1) / width;
  std::vector<std::int64_t> sums(bins * bins, 0);
  for (std::size_t i = 0; i < selections.size(); ++i)
    sums[i / ranks / width * bins + i % ranks / width] += selections[i];
  return sums;
}

void add_rows(const NamedRecord& result, const RoundRecord& round, std::size_t width, Table& table) {
  const std::size_t ranks = round.load.rank.loads.size();
  const std::size_t bins = (ranks + width - 1) / width;
  const auto sums = blocks(round.load.selections, ranks, width);
  for (std::size_t source = 0; source < bins; ++source) {
    std::vector<Value> row = {words(result.name), words(round_name(round)),
                              words(bin_name(source, width, ranks))};
    for (std::size_t target = 0; target < bins; ++target)
      row.push_back(integer(sums[source * bins + target]));
    table.rows.push_back(std::move(row));
  }
}

}  // namespace

Section traffic_section(Results results) {
  const std::size_t ranks = static_cast<std::size_t>(results.front().record.config.num_ranks);
  const std::size_t width = (ranks + most_bins - 1) / most_bins;
  Figure figure;
  figure.id = "traffic-plot";
  figure.title = "Selections from every rank to every rank";
  figure.note = width > 1 ? fmt::format("Blocks of {} ranks are summed.", width)
                          : "One cell is one source and destination.";
  figure.table.caption = "Selections by source (rows) and destination (columns)";
  figure.table.columns = {"result", "round", "from rank"};
  for (std::size_t bin = 0; bin < (ranks + width - 1) / width; ++bin) {
    figure.table.columns.push_back(bin_name(bin, width, ranks));
  }
  std::set<std::string> shown;
  std::string left_out;
  for_each_round(results,
                 [&](const RoundSource& source, const NamedRecord& result, const RoundRecord& round) {
                   if (round.load.rank.loads.size() != ranks) {
                     left_out = " Results with another number of ranks are left out here.";
                   } else if (ranks <= 16 || source.round == hottest_round(result.record)) {
                     if (shown.insert(round.workload.digest).second)
                       add_rows(result, round, width, figure.table);
                   }
                 });
  figure.note += (ranks > 16 ? " Only the hottest round is shown." : "") + left_out;
  figure.plot = {{"kind", "heat"},
                 {"roles", {{"row", "from rank"}, {"facet", "round"}}},
                 {"select", {"result"}},
                 {"xTitle", "to rank"},
                 {"yTitle", "from rank"}};
  drop_single_result(results, figure.table);
  return {"traffic", "Traffic", "Who sends to whom. A hot rank stands out as a column.", {std::move(figure)}};
}

}  // namespace epskew
