#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "epskew/report/html.hpp"
#include "epskew/support/error.hpp"
#include "report/html/sections.hpp"
#include "report/html/write_page.hpp"

namespace epskew {
namespace {

std::string shape_of(const ConfigRecord& config) {
  return fmt::format("{} ranks, {} tokens a rank at most, hidden {}, top-{} of {} experts", config.num_ranks,
                     config.max_tokens, config.hidden, config.topk, config.num_experts);
}

/// The shape of all results where they have one, else that of each by its name.
std::string shapes_of(Results results) {
  std::string each;
  bool same = true;
  for (const NamedRecord& result : results) {
    same = same && shape_of(result.record.config) == shape_of(results.front().record.config);
    each += fmt::format("{}{}: {}", each.empty() ? "" : " · ", result.name, shape_of(result.record.config));
  }
  return same ? shape_of(results.front().record.config) : each;
}

std::string eyebrow(Results results) {
  const Record& first = results.front().record;
  if (results.size() > 1)
    return fmt::format("epskew report · {} results · {}", results.size(), shapes_of(results));
  return fmt::format("epskew report · {} backend{} · {} · {}", first.config.backend,
                     first.simulation  ? " · simulated"
                     : first.emulation ? " · emulation"
                                       : "",
                     shape_of(first.config), first.created);
}

/// Lets every plot keep a result's colour and place in lists, whichever of them a table begins with.
void order_results(Results results, Page& page) {
  if (results.size() == 1) return;
  nlohmann::json names = nlohmann::json::array();
  for (const NamedRecord& result : results) names.push_back(result.name);
  for (Section& section : page.sections) {
    for (Figure& figure : section.figures) figure.plot["results"] = names;
  }
}

}  // namespace

std::string round_name(const RoundRecord& round) {
  return round.target_factor ? "factor " + round.label : round.label;
}

std::string phase_title(Phase phase) {
  return phase == Phase::dispatch_combine ? "dispatch + combine" : std::string(name_of(phase));
}

std::vector<Phase> plotted_phases(Results results) {
  constexpr std::array whole = {Phase::dispatch_combine, Phase::dispatch, Phase::combine};
  constexpr std::array halves = {Phase::dispatch_send, Phase::dispatch_recv, Phase::combine_send,
                                 Phase::combine_recv};
  const auto has_whole = [&](const RoundRecord& round) {
    return std::any_of(whole.begin(), whole.end(),
                       [&](Phase phase) { return round.phase(phase).has_value(); });
  };
  std::vector<Phase> phases(whole.begin(), whole.end());
  for (const NamedRecord& result : results) {
    const auto& rounds = result.record.rounds;
    if (rounds.empty() || std::any_of(rounds.begin(), rounds.end(), has_whole)) continue;
    phases.insert(phases.end(), halves.begin(), halves.end());
    break;
  }
  return phases;
}

std::optional<double> typical_time(const RoundRecord& round, Phase which) {
  const auto& phase = round.phase(which);
  if (!phase) return std::nullopt;
  return phase->slowest_rank.p50 ? phase->slowest_rank.p50 : phase->slowest_rank.mean;
}

std::string typical_source(const RoundSource& source, const RoundRecord& round, Phase which) {
  const std::string statistic = round.phase(which)->slowest_rank.p50 ? "p50" : "mean";
  return source.at("timing/" + std::string(name_of(which)) + "/slowest_rank/" + statistic);
}

std::optional<RoundSource> balanced_source(const Record& record, std::size_t result) {
  const RoundRecord* const balanced = balanced_round(record.rounds);
  if (balanced == nullptr) return std::nullopt;
  return RoundSource{result, static_cast<std::size_t>(balanced - record.rounds.data())};
}

std::size_t hottest_round(const Record& record) {
  const auto hottest = std::max_element(
      record.rounds.begin(), record.rounds.end(),
      [](const RoundRecord& a, const RoundRecord& b) { return a.load.rank.factor < b.load.rank.factor; });
  return static_cast<std::size_t>(hottest - record.rounds.begin());
}

void drop_single_result(Results results, Table& table) {
  if (results.size() > 1) return;
  table.columns.erase(table.columns.begin());
  for (auto& row : table.rows) row.erase(row.begin());
}

std::string report_page(std::span<const NamedRecord> results) {
  if (results.empty()) {
    throw UsageError("no result to report (a page needs at least one); name a file written by bench --json");
  }
  for (const NamedRecord& result : results) {
    if (!result.record.rounds.empty()) continue;
    throw UsageError(fmt::format(
        "{} has no rounds (there is nothing to show); run the benchmark again with --json", result.name));
  }
  Page page;
  page.title = results.size() == 1 ? "epskew: " + results.front().name
                                   : fmt::format("epskew: {} results", results.size());
  page.eyebrow = eyebrow(results);
  write_headline(results, page);
  page.sections = {latency_section(results), cost_section(results),      load_section(results),
                   traffic_section(results), rank_section(results),      bandwidth_section(results),
                   table_section(results),   provenance_section(results)};
  if (auto kernels = kernel_section(results))
    page.sections.insert(page.sections.end() - 2, *std::move(kernels));
  if (auto scale = scale_section(results)) page.sections.insert(page.sections.begin() + 2, std::move(*scale));
  order_results(results, page);
  return write_page(page);
}

}  // namespace epskew
