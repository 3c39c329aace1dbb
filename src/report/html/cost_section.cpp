#include "report/html/sections.hpp"

namespace epskew {
namespace {

void add_row(const RoundSource& source, const NamedRecord& result, const RoundRecord& round, Phase which,
             Table& table) {
  const std::string name{name_of(which)};
  const RatioInterval* cost = round.cost_of(which);
  if (cost == nullptr) return;
  const std::string path =
      (round.cost_of_imbalance ? "cost_of_imbalance/phases/" : "phase_costs/") + name + "/";
  const RatioInterval& interval = *cost;
  const bool holds_one = interval.low <= 1 && interval.high >= 1;
  table.rows.push_back({words(result.name), words(phase_title(which)), words(round_name(round)),
                        decimal(interval.ratio, 2, source.at(path + "ratio")),
                        decimal(interval.low, 2, source.at(path + "low")),
                        decimal(interval.high, 2, source.at(path + "high")),
                        words(holds_one            ? "no difference seen"
                              : interval.ratio > 1 ? "slower"
                                                   : "faster")});
}

}  // namespace

Section cost_section(Results results) {
  Figure figure;
  figure.id = "cost-plot";
  figure.title = "How many times as long as balanced";
  figure.note =
      "Slowest-rank median of a round over that of the balanced round of the same run, with its 95 % "
      "interval. Where the interval holds 1, no difference was seen. An arrow: the interval goes on beyond "
      "the plot.";
  figure.plot = {{"kind", "bars"},
                 {"roles",
                  {{"category", "round"},
                   {"value", "ratio"},
                   {"lo", "low"},
                   {"hi", "high"},
                   {"series", "result"},
                   {"facet", "phase"}}},
                 {"unit", "×"},
                 {"baseline", 1},
                 {"xTitle", "times the balanced round"}};
  figure.table.caption = "Cost of imbalance";
  figure.table.columns = {"result", "phase", "round", "ratio", "low", "high", "reading"};
  for (const Phase phase : plotted_phases(results)) {
    for_each_round(results,
                   [&](const RoundSource& source, const NamedRecord& result, const RoundRecord& round) {
                     add_row(source, result, round, phase, figure.table);
                   });
  }
  Section section{"cost", "Cost of imbalance", "", {}};
  if (figure.table.rows.empty()) {
    section.lead =
        "Not in these results: a cost with its interval needs a balanced round (factor 1.0) and 5 iterations "
        "or more.";
    return section;
  }
  for (const NamedRecord& result : results) {
    if (result.record.config.passes > 1) continue;
    figure.note +=
        " Measured in one pass, so drift between rounds is not in the intervals: " + result.name + ".";
  }
  drop_single_result(results, figure.table);
  section.figures.push_back(std::move(figure));
  return section;
}

}  // namespace epskew
