#include <fmt/format.h>

#include <optional>
#include <set>
#include <string>

#include "report/html/sections.hpp"

namespace epskew {
namespace {

/// A round of a result and the balanced one of the same run.
struct Pair {
  const NamedRecord& result;
  RoundSource round;
  RoundSource balanced;
};

/// Times of different kinds are different lines: other ways to exchange, other simulators or their schedules.
std::string kind_of(const Record& record) {
  if (record.simulation) return record.config.backend + ", " + record.simulation->simulator;
  std::string kind = record.config.backend + (record.emulation ? ", emulation" : "");
  for (const auto& [name, value] : record.config.variants) kind += fmt::format(", {}={}", name, value);
  return kind;
}

void add_row(const Pair& pair, Phase which, Table& table) {
  const Record& record = pair.result.record;
  const RoundRecord& round = record.rounds[pair.round.round];
  const RoundRecord& balanced = record.rounds[pair.balanced.round];
  const auto time = typical_time(round, which);
  const auto reference = typical_time(balanced, which);
  if (!time || !reference || *reference <= 0) return;
  table.rows.push_back(
      {words(pair.result.name), words(kind_of(record)), words(phase_title(which)), words(round_name(round)),
       integer(record.config.num_ranks, std::to_string(pair.round.result) + ":/config/num_ranks"),
       decimal(*time / *reference, 3), amount(time, typical_source(pair.round, round, which)),
       amount(reference, typical_source(pair.balanced, balanced, which))});
}

Table cost_table(Results results) {
  Table table;
  table.caption = "Cost of imbalance by the number of ranks";
  table.columns = {"result", "kind", "phase", "round", "ranks", "ratio", "time (µs)", "balanced (µs)"};
  for (const Phase phase : plotted_phases(results)) {
    for_each_round(results,
                   [&](const RoundSource& source, const NamedRecord& result, const RoundRecord& round) {
                     const auto balanced = balanced_source(result.record, source.result);
                     if (!balanced || source.round == balanced->round || !round.target_factor) return;
                     add_row({result, source, *balanced}, phase, table);
                   });
  }
  return table;
}

}  // namespace

std::optional<Section> scale_section(Results results) {
  std::set<int> sizes;
  std::set<std::string> kinds;
  for (const NamedRecord& result : results) {
    if (balanced_round(result.record.rounds) == nullptr) continue;
    sizes.insert(result.record.config.num_ranks);
    kinds.insert(kind_of(result.record));
  }
  if (sizes.size() < 2) return std::nullopt;
  Figure figure;
  figure.id = "scale-plot";
  figure.title = "How many times as long as balanced, by the number of ranks";
  figure.note =
      "Slowest rank's time of a round over that of the balanced round of the same result: medians, or means "
      "where there are too few iterations for one. Ratios of results with the same number of ranks lie one "
      "over the other. The axis of ranks is logarithmic.";
  figure.plot = {{"kind", "lines"},
                 {"roles", {{"x", "ranks"}, {"y", "ratio"}, {"series", "round"}, {"facet", "phase"}}},
                 {"xLog", true},
                 {"xTitle", "ranks (EP size)"},
                 {"yTitle", "time / time of the balanced round"}};
  if (kinds.size() > 1) figure.plot["select"] = nlohmann::json::array({"kind"});
  figure.table = cost_table(results);
  if (figure.table.rows.empty()) return std::nullopt;
  return Section{"scale", "Cost against EP size", "", {std::move(figure)}};
}

}  // namespace epskew
