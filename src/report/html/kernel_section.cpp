#include <algorithm>

#include "report/html/sections.hpp"

namespace epskew {
namespace {

bool any_kernels(Results results, Phase phase) {
  return std::any_of(results.begin(), results.end(), [&](const NamedRecord& result) {
    return std::any_of(result.record.rounds.begin(), result.record.rounds.end(),
                       [&](const RoundRecord& round) { return round.kernels(phase).has_value(); });
  });
}

/// A row of one clock: "kernels" or "calls", with the result's name where there are several.
void add_row(Results results, const RoundSource& source, const RoundRecord& round, Phase which,
             const char* clock, const std::optional<PhaseRecord>& timed, Table& table) {
  if (!timed) return;
  const std::string member = std::string(clock) == "kernels" ? "kernel_timing/" : "timing/";
  const std::string slowest = member + std::string(name_of(which)) + "/slowest_rank/";
  const std::string name = results.size() > 1 ? results[source.result].name + ", " + clock : clock;
  const auto at = [&](const char* figure) { return source.at(slowest + figure); };
  table.rows.push_back(
      {words(name), words(phase_title(which)), words(round_name(round)),
       decimal(round.load.rank.factor, 3, source.at("load/rank/factor")),
       amount(timed->slowest_rank.mean, at("mean")), amount(timed->slowest_rank.min, at("min")),
       amount(timed->slowest_rank.p50, at("p50")), amount(timed->slowest_rank.p90, at("p90")),
       amount(timed->slowest_rank.max, at("max")), integer(timed->samples_us.iterations())});
}

Figure kernel_figure(Results results) {
  Figure figure;
  figure.id = "kernel-plot";
  figure.title = "Kernels beside the clock around the call";
  figure.note =
      "Median over iterations of the slowest rank. Kernels: how long the library's kernels ran, as a "
      "profiler "
      "saw them in iterations of their own; copies and memsets are left out. Calls: the clock around the "
      "whole "
      "call, launches and waiting included. Each plot has a scale of its own.";
  figure.plot = {{"kind", "lines"},
                 {"roles", {{"x", "factor"}, {"y", "p50 (µs)"}, {"series", "clock"}, {"facet", "phase"}}},
                 {"ownScale", true},
                 {"xTitle", "realised imbalance factor"},
                 {"yTitle", "µs"}};
  figure.table.caption = "Slowest rank by kernels and by calls, µs";
  figure.table.columns = {"clock",    "phase",    "round",    "factor",   "mean (µs)",
                          "min (µs)", "p50 (µs)", "p90 (µs)", "max (µs)", "iterations"};
  for (const Phase phase : all_phases()) {
    if (!any_kernels(results, phase)) continue;
    for_each_round(results, [&](const RoundSource& source, const NamedRecord&, const RoundRecord& round) {
      add_row(results, source, round, phase, "kernels", round.kernels(phase), figure.table);
      add_row(results, source, round, phase, "calls", round.phase(phase), figure.table);
    });
  }
  return figure;
}

}  // namespace

std::optional<Section> kernel_section(Results results) {
  const auto phases = all_phases();
  if (std::none_of(phases.begin(), phases.end(), [&](Phase phase) { return any_kernels(results, phase); }))
    return std::nullopt;
  return Section{"kernels",
                 "Kernels",
                 "What a library's kernels take by themselves, and what a caller waits for.",
                 {kernel_figure(results)}};
}

}  // namespace epskew
