#include <algorithm>
#include <array>
#include <utility>

#include "report/html/sections.hpp"

namespace epskew {
namespace {

/// A curve in a plot of this size needs no more points, and the page holds each as a row of a table.
constexpr std::array shown_percents = {1,  2,  5,  10, 15, 20, 25, 30, 35, 40, 45, 50,
                                       55, 60, 65, 70, 75, 80, 85, 90, 95, 98, 99};

/// The exactly balanced round's time, if there is one: the line every other round is held against.
Value balanced_time(const Record& record, std::size_t result, Phase phase) {
  const auto source = balanced_source(record, result);
  if (!source) return amount(std::nullopt);
  const RoundRecord& balanced = record.rounds[source->round];
  const auto time = typical_time(balanced, phase);
  return time ? amount(time, typical_source(*source, balanced, phase)) : amount(std::nullopt);
}

void add_rows(const RoundSource& source, const NamedRecord& result, const RoundRecord& round, Phase which,
              Table& table) {
  const auto& phase = round.phase(which);
  if (!phase) return;
  const std::string slowest = "timing/" + std::string(name_of(which)) + "/slowest_rank/";
  table.rows.push_back({words(result.name), words(phase_title(which)), words(round_name(round)),
                        decimal(round.load.rank.factor, 3, source.at("load/rank/factor")),
                        amount(typical_time(round, which), typical_source(source, round, which)),
                        amount(percentile(slowest_rank(phase->samples_us), 0.1)),
                        amount(phase->slowest_rank.p99, source.at(slowest + "p99")),
                        balanced_time(result.record, source.result, which),
                        decimal(round.workload.uniform_floor, 3, source.at("workload/uniform_floor"))});
}

Figure latency_figure(Results results) {
  Figure figure;
  figure.id = "latency-plot";
  figure.title = "Latency of the slowest rank against the imbalance factor";
  figure.note =
      "Line and marks: median over iterations of the slowest rank's time, or the mean of too few for one. "
      "Band: 10th to 99th percentile, "
      "where there are enough iterations (200). "
      "Dotted: the balanced round. Dashed: the factor that uniform random routing has by chance alone.";
  const bool replayed = std::none_of(results.begin(), results.end(), [](const NamedRecord& result) {
    return std::any_of(result.record.rounds.begin(), result.record.rounds.end(),
                       [](const RoundRecord& round) { return round.target_factor.has_value(); });
  });
  figure.plot = {{"kind", "lines"},
                 {"roles",
                  {{"x", "factor"},
                   {"y", "time (µs)"},
                   {"lo", "p10 (µs)"},
                   {"hi", "p99 (µs)"},
                   {"series", "result"},
                   {"facet", "phase"},
                   {"hline", "balanced (µs)"},
                   {"vline", "uniform floor"}}},
                 {"join", !replayed},
                 {"xTitle", "realised imbalance factor"},
                 {"yTitle", "µs"},
                 {"hlineLabel", "balanced"},
                 {"vlineLabel", "uniform floor"}};
  figure.table.caption = "Slowest-rank latency by round";
  figure.table.columns = {"result",   "phase",    "round",         "factor",       "time (µs)",
                          "p10 (µs)", "p99 (µs)", "balanced (µs)", "uniform floor"};
  for (const Phase phase : plotted_phases(results)) {
    for_each_round(results,
                   [&](const RoundSource& source, const NamedRecord& result, const RoundRecord& round) {
                     add_rows(source, result, round, phase, figure.table);
                   });
  }
  drop_single_result(results, figure.table);
  return figure;
}

void add_quantiles(const NamedRecord& result, const RoundRecord& round, Phase which, Table& table) {
  if (!round.phase(which)) return;
  const std::vector<double> slowest = slowest_rank(round.phase(which)->samples_us);
  for (const int percent : shown_percents) {
    const auto time = percentile(slowest, percent / 100.0);
    if (!time) continue;
    table.rows.push_back({words(result.name), words(phase_title(which)), words(round_name(round)),
                          amount(time), integer(percent)});
  }
}

Figure distribution_figure(Results results) {
  // A line a round is readable for a handful of rounds; a replayed trace has hundreds, which are chosen
  // instead.
  const bool few = std::all_of(results.begin(), results.end(),
                               [](const NamedRecord& result) { return result.record.rounds.size() <= 8; });
  Figure figure;
  figure.id = "distribution-plot";
  figure.title = "Distribution of the slowest rank's time";
  figure.note =
      "Share of iterations that were done within a time, 1st to 99th percentile where there are enough "
      "samples. "
      "The time axis is logarithmic.";
  figure.plot = {{"kind", "lines"},
                 {"roles",
                  {{"x", "time (µs)"},
                   {"y", "iterations within (%)"},
                   {"series", few ? "round" : "result"},
                   {"facet", "phase"}}},
                 {"select", nlohmann::json::array({few ? "result" : "round"})},
                 {"points", false},
                 {"xLog", true},
                 {"yMax", 100},
                 {"xTitle", "µs"},
                 {"yTitle", "% of iterations within"}};
  figure.table.caption = "Quantiles of the slowest rank's time";
  figure.table.columns = {"result", "phase", "round", "time (µs)", "iterations within (%)"};
  for (const Phase phase : plotted_phases(results)) {
    for_each_round(results, [&](const RoundSource&, const NamedRecord& result, const RoundRecord& round) {
      add_quantiles(result, round, phase, figure.table);
    });
  }
  drop_single_result(results, figure.table);
  return figure;
}

}  // namespace

Section latency_section(Results results) {
  std::vector<Figure> figures = {latency_figure(results)};
  // Too few iterations have no quantiles.
  if (Figure quantiles = distribution_figure(results); !quantiles.table.rows.empty()) {
    figures.push_back(std::move(quantiles));
  }
  return {"latency", "Latency",
          "The slowest rank sets the pace of the exchange, so its time is shown, not a mean over ranks.",
          std::move(figures)};
}

}  // namespace epskew
