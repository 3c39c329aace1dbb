#include <fmt/format.h>
#include <fmt/ranges.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "command.hpp"
#include "epskew/report/inspection.hpp"
#include "epskew/routing/digest.hpp"
#include "epskew/routing/footprint.hpp"
#include "epskew/support/error.hpp"
#include "epskew/support/memory.hpp"
#include "epskew/support/output_file.hpp"
#include "trace_flags.hpp"

namespace epskew::app {
namespace {

struct InspectFlags {
  TraceFlags trace;
  std::vector<int> num_processes;
  std::optional<int> num_experts;
  std::optional<int> num_topk;
  std::optional<int> ranks_per_node;
  std::optional<std::string> placement;
  std::uint64_t seed = 0;
  std::string json;
};

void check_ranks(int ranks, int num_experts) {
  if (ranks < 1 || num_experts % ranks != 0) {
    throw UsageError(
        fmt::format("--num-processes {} does not divide {} experts (each rank owns the same number); choose "
                    "divisors of {}",
                    ranks, num_experts, num_experts));
  }
  require_memory(pair_counts_bytes(ranks), fmt::format("the traffic between {} ranks", ranks),
                 "choose fewer");
}

/// The numbers of ranks to look at: those asked for, else a routing file's own, else the usual ones.
std::vector<int> ranks_of(const InspectFlags& flags, InspectionReport& report) {
  const int num_experts = report.trace.num_experts;
  for (const int ranks : flags.num_processes) check_ranks(ranks, num_experts);
  if (!flags.num_processes.empty()) return flags.num_processes;
  if (report.routing) return {report.routing->table.num_ranks()};
  const std::vector<int> usual = usual_num_ranks(num_experts);
  if (usual != std::vector{8, 16, 32}) {
    report.trace.notes.push_back(fmt::format(
        "shown on {} ranks (of 8, 16 and 32 not all divide {} experts); --num-processes names others",
        fmt::join(usual, ", "), num_experts));
  }
  return usual;
}

/// The placement for this number of ranks; a spread differs with it.
std::vector<LayerInspection> inspect_all(const InspectFlags& flags, const Trace& trace,
                                         const std::vector<int>& ranks) {
  if (!flags.placement) return inspect(trace, ranks, std::nullopt);
  WorkloadFlags named;
  named.placement = flags.placement;
  named.seed = flags.seed;
  std::vector<LayerInspection> layers;
  for (const int count : ranks) {
    std::vector<LayerInspection> at =
        inspect(trace, std::vector{count}, placement_of(named, trace.num_experts, count));
    if (layers.empty()) {
      layers = std::move(at);
      continue;
    }
    for (std::size_t i = 0; i < layers.size(); ++i) layers[i].ranks.push_back(std::move(at[i].ranks.front()));
  }
  return layers;
}

InspectionReport make_report(const InspectFlags& flags) {
  WorkloadFlags stated;
  if (flags.num_experts) stated.num_experts = *flags.num_experts;
  if (flags.num_topk) stated.num_topk = *flags.num_topk;
  InspectionReport report;
  report.trace = load_trace(flags.trace, stated);
  if (auto table = own_routing(report.trace)) {
    report.load = count_load(*table);
    std::string fingerprint = digest(*table);
    report.routing = RoutingFile{std::move(*table), std::move(fingerprint), report.trace.spec};
  }
  report.layers = inspect_all(flags, report.trace, ranks_of(flags, report));
  if (flags.ranks_per_node) inspect_nodes(report.layers, *flags.ranks_per_node);
  return report;
}

void run_inspect(const InspectFlags& flags) {
  std::optional<OutputFile> json;
  if (!flags.json.empty()) json.emplace("--json", flags.json);
  WorkloadFlags placed;
  placed.placement = flags.placement;
  refuse_to_replace({&json}, inputs_of(flags.trace, placed));
  const InspectionReport report = make_report(flags);
  if (json) json->write(inspection_json(report));
  fmt::print(json && json->is_stdout() ? stderr : stdout, "{}", inspection_text(report));
}

}  // namespace

void add_inspect(CLI::App& app) {
  const auto flags = std::make_shared<InspectFlags>();
  CLI::App* command = app.add_subcommand("inspect", "every load metric of a routing file or a trace");
  command->add_option("FILE_OR_DIR", flags->trace.trace, "a routing file or recorded routing")->required();
  add_trace_reading_flags(*command, flags->trace);
  command
      ->add_option("--num-processes", flags->num_processes,
                   "numbers of ranks, e.g. 8,16,32 [a routing file's own; else those of 8,16,32 that divide "
                   "the experts]")
      ->delimiter(',');
  command->add_option("--ranks-per-node", flags->ranks_per_node,
                      "consecutive ranks that share a node: show the loads of nodes too");
  command->add_option("--num-experts", flags->num_experts, "experts, where the trace does not say");
  command->add_option("--num-topk", flags->num_topk, "experts of a token, where the trace does not say");
  command->add_option("--placement", flags->placement,
                      "contiguous, spread, random or a placement file [contiguous]");
  add_seed(*command, flags->seed, "of the random placement");
  command->add_option("--json", flags->json, "also write JSON to this file; - for standard output");
  command->callback([flags] { run_inspect(*flags); });
}

}  // namespace epskew::app
