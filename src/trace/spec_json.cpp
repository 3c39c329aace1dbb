#include "epskew/trace/spec_json.hpp"

#include <nlohmann/json.hpp>
#include <optional>

#include "epskew/routing/load.hpp"
#include "epskew/support/json_file.hpp"
#include "epskew/workload/pattern.hpp"

namespace epskew {
namespace {

using nlohmann::json;

template <class T>
json or_null(const std::optional<T>& value) {
  return value ? json(*value) : json(nullptr);
}

double realised_factor(const RoutingTable& table) {
  return count_load(table).rank.factor;
}

json law_json(const WorkloadSpec& spec) {
  return {{"family", name_of(spec.family)},
          {"shape", or_null(spec.shape)},
          {"curve", spec.curve},
          {"curve_name", spec.curve_name},
          {"level", spec.level == LawLevel::rank ? "rank" : "expert"},
          {"sampling", spec.sampling == Sampling::exact ? "exact" : "multinomial"},
          {"placement", spec.placement ? json(spec.placement->slot_of_expert) : json(nullptr)}};
}

json pattern_json(const WorkloadSpec& spec) {
  return {{"name", name_of(spec.pattern)},     {"hot_experts", spec.hot_experts},
          {"hot_fraction", spec.hot_fraction}, {"step", spec.step},
          {"burst_period", spec.burst_period}, {"matrix", spec.matrix}};
}

}  // namespace

std::string spec_json(const WorkloadSpec& spec, const Workload& workload) {
  const json text = {{"num_experts", spec.num_experts},
                     {"topk", spec.topk},
                     {"tokens_per_rank", spec.tokens_per_rank},
                     {"factor", or_null(spec.factor)},
                     {"imbalance_level", spec.imbalance_level == ImbalanceLevel::node ? "node" : "rank"},
                     {"ranks_per_node", spec.ranks_per_node},
                     {"law", law_json(spec)},
                     {"pattern", pattern_json(spec)},
                     {"num_masked", spec.num_masked},
                     {"num_groups", spec.num_groups},
                     {"topk_groups", spec.topk_groups},
                     {"hot_rank", or_null(spec.hot_rank)},
                     {"seed", spec.seed},
                     {"distribution", workload.distribution},
                     {"parameters", workload.parameters},
                     {"feasible_max", workload.feasible_max},
                     {"uniform_floor", workload.uniform_floor},
                     {"realised_factor", realised_factor(workload.table)}};
  return dump_json(text);
}

std::string spec_json(const Trace& trace, const ReplayRound& round) {
  // Paths and notes may hold bytes that are no UTF-8.
  const json text = {{"distribution", "trace"}, {"source", trace.source.string()},
                     {"format", trace.format},  {"layer", round.layer},
                     {"window", round.window},  {"realised_factor", realised_factor(round.table)}};
  return dump_json(text);
}

}  // namespace epskew
