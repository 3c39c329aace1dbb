#include "report/html/sections.hpp"

namespace epskew {
namespace {

void add_rows(const RoundSource& source, const NamedRecord& result, const RoundRecord& round, Phase which,
              Table& table) {
  const auto& phase = round.phase(which);
  if (!phase) return;
  const SampleMatrix& samples = phase->samples_us;
  const std::vector<double> slowest = shares_slowest(samples);
  for (int rank = 0; rank < samples.num_ranks; ++rank) {
    std::vector<double> times(static_cast<std::size_t>(samples.iterations()));
    for (int i = 0; i < samples.iterations(); ++i) times[static_cast<std::size_t>(i)] = samples.at(i, rank);
    std::vector<Value> row = {words(result.name), words(phase_title(which)), words(round_name(round)),
                              integer(rank), words(rank == round.load.rank.hot ? "hot" : "")};
    for (const double q : {0.10, 0.25, 0.50, 0.75, 0.90}) row.push_back(amount(percentile(times, q)));
    const auto index = static_cast<std::size_t>(rank);
    row.push_back(slowest.empty() ? amount(std::nullopt) : decimal(slowest[index], 1));
    row.push_back(
        integer(round.load.rank.loads[index], source.at("load/rank/loads/" + std::to_string(rank))));
    table.rows.push_back(std::move(row));
  }
}

}  // namespace

Section rank_section(Results results) {
  Figure figure;
  figure.id = "rank-plot";
  figure.title = "Time of every rank";
  figure.note =
      "Bar: median; box: middle half of the iterations; whiskers: 10th to 90th percentile. The hot rank, the "
      "one with "
      "the largest load, is orange.";
  figure.plot = {{"kind", "box"},
                 {"roles",
                  {{"category", "rank"},
                   {"hot", "load is"},
                   {"p10", "p10 (µs)"},
                   {"p25", "p25 (µs)"},
                   {"p50", "p50 (µs)"},
                   {"p75", "p75 (µs)"},
                   {"p90", "p90 (µs)"},
                   {"facet", "round"}}},
                 {"select", {"result", "phase"}},
                 {"xTitle", "rank"},
                 {"yTitle", "µs"}};
  figure.table.caption = "Times of every rank over iterations";
  figure.table.columns = {"result",
                          "phase",
                          "round",
                          "rank",
                          "load is",
                          "p10 (µs)",
                          "p25 (µs)",
                          "p50 (µs)",
                          "p75 (µs)",
                          "p90 (µs)",
                          "times slowest, ties shared",
                          "selections"};
  for (const Phase phase : plotted_phases(results)) {
    for_each_round(results,
                   [&](const RoundSource& source, const NamedRecord& result, const RoundRecord& round) {
                     add_rows(source, result, round, phase, figure.table);
                   });
  }
  drop_single_result(results, figure.table);
  return {
      "ranks", "Ranks", "Who is slow, and whether it is the rank with the most to do.", {std::move(figure)}};
}

}  // namespace epskew
