#pragma once

/// The parts of the report page, one function and one file each, in reading order.

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "epskew/report/html.hpp"
#include "report/html/number.hpp"
#include "report/html/page.hpp"

namespace epskew {

using Results = std::span<const NamedRecord>;

/// Fills in Page::headline and Page::support.
void write_headline(Results results, Page& page);

Section latency_section(Results results);
Section cost_section(Results results);
/// Cost of imbalance against the number of ranks; none where all results have the same number.
std::optional<Section> scale_section(Results results);
Section load_section(Results results);
Section traffic_section(Results results);
Section rank_section(Results results);
/// Nothing where no result has durations of kernels.
std::optional<Section> kernel_section(Results results);
Section bandwidth_section(Results results);
Section table_section(Results results);
Section provenance_section(Results results);

/// What readers call a round: "factor 3.0", "uniform", "layer 7 window 0".
std::string round_name(const RoundRecord& round);
/// "dispatch + combine" for the pair, else the phase's name.
std::string phase_title(Phase phase);
/// The phases of the plots: the pair first; the halves too where a result has nothing else.
std::vector<Phase> plotted_phases(Results results);
/// Slowest rank, microseconds: median over iterations, or the mean of too few for one (simulated ones are all
/// the same). Nothing where the phase was not measured.
std::optional<double> typical_time(const RoundRecord& round, Phase phase);
/// Where the balanced round of a result is, if it has one.
std::optional<RoundSource> balanced_source(const Record& record, std::size_t result);
/// Where it stands in the result file; of a phase that was measured.
std::string typical_source(const RoundSource& source, const RoundRecord& round, Phase phase);
/// Round with the largest realised factor.
std::size_t hottest_round(const Record& record);
/// The first column of every table names the result; with a single result it says nothing and goes.
void drop_single_result(Results results, Table& table);

/// Calls visit(result index, round index, result, round) for every round of every result.
template <class Visit>
void for_each_round(Results results, Visit visit) {
  for (std::size_t i = 0; i < results.size(); ++i) {
    const auto& rounds = results[i].record.rounds;
    for (std::size_t j = 0; j < rounds.size(); ++j) visit(RoundSource{i, j}, results[i], rounds[j]);
  }
}

}  // namespace epskew
