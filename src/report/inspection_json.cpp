#include <nlohmann/json.hpp>

#include "epskew/report/inspection.hpp"
#include "epskew/support/json_file.hpp"
#include "report/json_fields.hpp"

namespace epskew {
namespace {

using nlohmann::json;

constexpr const char* schema_version = "1.1.0";

json rank_json(const RankInspection& at) {
  return {{"num_ranks", at.num_ranks},
          {"rank", at.rank},
          {"node", at.node},
          {"message", at.message},
          {"hot_over_others", at.hot_over_others},
          {"uniform_floor", at.uniform_floor}};
}

json layer_json(const LayerInspection& layer) {
  json ranks = json::array();
  for (const RankInspection& at : layer.ranks) ranks.push_back(rank_json(at));
  return {{"layer", layer.layer},
          {"tokens", layer.tokens},
          {"selections", layer.selections},
          {"expert", layer.expert},
          {"ranks", ranks}};
}

template <class Metrics>
json summary_json(int places, const std::vector<LayerInspection>& layers, Metrics&& metrics) {
  const OverLayers factor =
      over_layers(layers, [&](const LayerInspection& layer) { return metrics(layer).factor; });
  return {{"places", places},
          {"factor", {{"mean", factor.mean}, {"worst", factor.worst}, {"worst_layer", factor.worst_layer}}}};
}

json summaries(const InspectionReport& report) {
  json ranks = json::array();
  for (std::size_t i = 0; i < report.layers.front().ranks.size(); ++i) {
    ranks.push_back(summary_json(
        report.layers.front().ranks[i].num_ranks, report.layers,
        [i](const LayerInspection& layer) -> const LoadMetrics& { return layer.ranks[i].rank; }));
  }
  return {{"expert",
           summary_json(report.trace.num_experts, report.layers,
                        [](const LayerInspection& layer) -> const LoadMetrics& { return layer.expert; })},
          {"ranks", ranks}};
}

json routing_json(const InspectionReport& report) {
  if (!report.routing || !report.load) return nullptr;
  return {{"num_ranks", report.routing->table.num_ranks()},
          {"tokens_per_rank", report.routing->table.tokens_per_rank},
          {"digest", report.routing->digest},
          {"spec", json::parse(report.routing->spec, nullptr, /*allow_exceptions=*/false)},
          {"load", *report.load}};
}

}  // namespace

std::string inspection_json(const InspectionReport& report) {
  json layers = json::array();
  for (const LayerInspection& layer : report.layers) layers.push_back(layer_json(layer));
  const json file = {{"schema_version", schema_version},
                     {"kind", "inspection"},
                     {"source", report.trace.source.string()},
                     {"format", report.trace.format},
                     {"num_experts", report.trace.num_experts},
                     {"topk", report.trace.topk == 0 ? json(nullptr) : json(report.trace.topk)},
                     {"constant_rows", report.trace.constant_rows},
                     {"notes", report.trace.notes},
                     {"summary", summaries(report)},
                     {"layers", layers},
                     {"routing", routing_json(report)}};
  return dump_json(file, 1) + "\n";
}

}  // namespace epskew
