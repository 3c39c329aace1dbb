#include <fmt/format.h>

#include "epskew/report/inspection.hpp"
#include "report/text_table.hpp"

namespace epskew {
namespace {

std::string number(double value) {
  return fmt::format("{:.3f}", value);
}
std::string number(const std::optional<double>& value) {
  return value ? number(*value) : "-";
}
std::string factor_of(const std::optional<LoadMetrics>& metrics) {
  return metrics ? number(metrics->factor) : "-";
}

std::string header(const InspectionReport& report) {
  const Trace& trace = report.trace;
  std::string text = fmt::format("{}: {}, {} layer{}, {} experts", trace.source.string(), trace.format,
                                 trace.layers.size(), trace.layers.size() == 1 ? "" : "s", trace.num_experts);
  if (trace.topk > 0) text += fmt::format(", top-{}", trace.topk);
  text += trace.layers.front().topk > 0 ? ", tokens\n" : ", counts only\n";
  for (const std::string& note : trace.notes) text += "note: " + note + "\n";
  return text;
}

std::string layer_table(const std::vector<LayerInspection>& layers) {
  std::vector<std::string> heads = {"layer", "tokens", "selections", "factor", "empty"};
  for (std::size_t i = 0; i < layers.front().ranks.size(); ++i)
    heads.insert(heads.end(), {"factor", "messages", "hot", "floor"});
  TextTable table(heads);
  table.group("experts", 3, 2);
  for (std::size_t i = 0; i < layers.front().ranks.size(); ++i) {
    table.group(fmt::format("{} ranks", layers.front().ranks[i].num_ranks), 5 + 4 * i, 4);
  }
  for (const LayerInspection& layer : layers) {
    std::vector<std::string> cells = {
        std::to_string(layer.layer), layer.tokens > 0 ? std::to_string(layer.tokens) : "-",
        std::to_string(layer.selections), number(layer.expert.factor), std::to_string(layer.expert.empty)};
    for (const RankInspection& at : layer.ranks) {
      cells.insert(cells.end(), {number(at.rank.factor), factor_of(at.message), std::to_string(at.rank.hot),
                                 number(at.uniform_floor)});
    }
    table.row(std::move(cells));
  }
  return table.render();
}

/// One line of the summary: `metrics(layer)` over all layers.
template <class Metrics>
std::vector<std::string> summary_cells(std::string name, const std::vector<LayerInspection>& layers,
                                       Metrics&& metrics) {
  std::vector<std::string> cells = {std::move(name)};
  const OverLayers factor =
      over_layers(layers, [&](const LayerInspection& layer) { return metrics(layer).factor; });
  cells.insert(cells.end(), {number(factor.mean), number(factor.worst), std::to_string(factor.worst_layer)});
  for (const auto field : {&LoadMetrics::max_vio, &LoadMetrics::balancedness, &LoadMetrics::cv,
                           &LoadMetrics::gini, &LoadMetrics::entropy}) {
    cells.push_back(number(
        over_layers(layers, [&](const LayerInspection& layer) { return metrics(layer).*field; }).mean));
  }
  cells.push_back(number(over_layers(layers, [&](const LayerInspection& layer) {
                           return static_cast<double>(metrics(layer).empty);
                         }).mean));
  return cells;
}

std::string mean_of(const std::vector<LayerInspection>& layers, std::size_t at,
                    std::optional<double> RankInspection::*field) {
  if (!(layers.front().ranks[at].*field)) return "-";
  return number(
      over_layers(layers, [&](const LayerInspection& layer) { return *(layer.ranks[at].*field); }).mean);
}

std::string summary_table(const std::vector<LayerInspection>& layers) {
  TextTable table({"mean over layers", "factor", "worst", "in layer", "max_vio", "balanced", "cv", "gini",
                   "entropy", "empty", "hot/others", "floor"});
  const auto add = [&](std::vector<std::string> cells, std::string hot_over_others, std::string floor) {
    cells.insert(cells.end(), {std::move(hot_over_others), std::move(floor)});
    table.row(std::move(cells));
  };
  add(summary_cells("experts", layers,
                    [](const LayerInspection& layer) -> const LoadMetrics& { return layer.expert; }),
      "-", "-");
  for (std::size_t i = 0; i < layers.front().ranks.size(); ++i) {
    const std::string ranks = fmt::format("{} ranks", layers.front().ranks[i].num_ranks);
    add(summary_cells(
            ranks, layers,
            [i](const LayerInspection& layer) -> const LoadMetrics& { return layer.ranks[i].rank; }),
        "-", mean_of(layers, i, &RankInspection::uniform_floor));
    if (layers.front().ranks[i].node) {
      const std::size_t nodes = layers.front().ranks[i].node->loads.size();
      add(summary_cells(
              fmt::format("{}, {} nodes", ranks, nodes), layers,
              [i](const LayerInspection& layer) -> const LoadMetrics& { return *layer.ranks[i].node; }),
          "-", "-");
    }
    if (!layers.front().ranks[i].message) continue;
    add(summary_cells(
            ranks + ", messages", layers,
            [i](const LayerInspection& layer) -> const LoadMetrics& { return *layer.ranks[i].message; }),
        mean_of(layers, i, &RankInspection::hot_over_others), "-");
  }
  return table.render();
}

std::string routing_text(const RoutingFile& routing, const RoutingLoad& load) {
  std::string text =
      fmt::format("\nthe file's own {} ranks, digest {}\n", routing.table.num_ranks(), routing.digest);
  TextTable table({"rank", "tokens", "selections in", "messages in"});
  for (int rank = 0; rank < routing.table.num_ranks(); ++rank) {
    const auto r = static_cast<std::size_t>(rank);
    table.row({std::to_string(rank), std::to_string(routing.table.tokens_per_rank[r]),
               std::to_string(load.rank.loads[r]), std::to_string(load.message.loads[r])});
  }
  text += table.render();
  const auto pair =
      static_cast<std::size_t>(load.hottest_source * routing.table.num_ranks() + load.hottest_destination);
  return text + fmt::format("hottest pair: rank {} -> rank {}, {} selections\n", load.hottest_source,
                            load.hottest_destination, load.selections[pair]);
}

}  // namespace

std::string inspection_text(const InspectionReport& report) {
  std::string text = header(report) + "\n" + layer_table(report.layers) + "\n" + summary_table(report.layers);
  if (report.routing && report.load) text += routing_text(*report.routing, *report.load);
  return text +
         "\nfactor = largest / mean load; floor = mean factor of uniform random routing of the same shape\n";
}

}  // namespace epskew
