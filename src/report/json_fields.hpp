#pragma once

/// How each struct of a Record becomes JSON: by the names of its members. Private to json.cpp.

#include <nlohmann/json.hpp>
#include <optional>

#include "epskew/report/record.hpp"

namespace nlohmann {

/// A value that was not measured is null.
template <class T>
struct adl_serializer<std::optional<T>> {
  static void to_json(json& out, const std::optional<T>& value) {
    if (value) {
      out = *value;
    } else {
      out = nullptr;
    }
  }
  static void from_json(const json& in, std::optional<T>& value) {
    if (in.is_null()) {
      value.reset();
    } else {
      value = in.get<T>();
    }
  }
};

}  // namespace nlohmann

namespace epskew {

/// A flat row-major matrix as an array of rows of `width`.
template <class T>
nlohmann::json rows_to_json(const std::vector<T>& flat, std::size_t width) {
  nlohmann::json rows = nlohmann::json::array();
  for (std::size_t begin = 0; width > 0 && begin < flat.size(); begin += width) {
    const auto first = flat.begin() + static_cast<std::ptrdiff_t>(begin);
    rows.push_back(std::vector<T>(first, first + static_cast<std::ptrdiff_t>(width)));
  }
  return rows;
}

/// The reverse; `width` receives the length of a row. Throws std::invalid_argument for rows of different
/// lengths.
template <class T>
std::vector<T> rows_from_json(const nlohmann::json& rows, std::size_t& width) {
  std::vector<T> flat;
  width = rows.empty() ? 0 : rows.at(0).size();
  for (const nlohmann::json& row : rows) {
    const auto values = row.get<std::vector<T>>();
    if (values.size() != width) throw std::invalid_argument("a matrix has rows of different lengths");
    flat.insert(flat.end(), values.begin(), values.end());
  }
  return flat;
}

inline void to_json(nlohmann::json& out, const SampleMatrix& samples) {
  out = rows_to_json(samples.us, static_cast<std::size_t>(samples.num_ranks));
}

inline void from_json(const nlohmann::json& in, SampleMatrix& samples) {
  std::size_t width = 0;
  samples.us = rows_from_json<double>(in, width);
  samples.num_ranks = static_cast<int>(width);
}

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Summary, mean, min, max, p50, p90, p99)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(RatioInterval, ratio, low, high)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(LoadMetrics, loads, max, min, mean, median, std, factor, balancedness,
                                   max_vio, cv, gini, entropy, empty, hot)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(ToolRecord, name, version)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(HostRecord, name, system, memory_bytes)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(CpuRecord, model, logical_cores, llc_bytes)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(BuildRecord, compiler, flags, type, commit)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(ClockRecord, source, resolution_ns)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(ConfigRecord, num_ranks, num_experts, topk, hidden, max_tokens,
                                   tokens_per_rank, dispatch_format, combine_format, backend, variants,
                                   backend_facts, micro_batches, timeout_ms, iterations, warmup, passes,
                                   flush_cache, flush_bytes, clock, distribution, imbalance_factors,
                                   num_masked, ranks_per_node, seed, trace)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(LinkRecord, from, to, latency_us, gb_per_s)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(TopologyRecord, hosts, node_of_rank, cores, sockets, links)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(WorkloadRecord, distribution, parameters, seed, digest, feasible_max,
                                   uniform_floor)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(OracleRecord, before, after)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(PhaseRecord::PerRank, mean, min, max)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(PhaseRecord::OverRanks, mean, min, max)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(PhaseRecord, samples_us, slowest_rank, hot_rank, per_rank, over_ranks,
                                   times_slowest)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(RateRecord, bytes, gb_per_s)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(BandwidthRecord, send_logical, hot_receive, wire, wire_basis)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(CostRecord, ratio, low, high, reference, phases)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(MemoryRecord, reserved_bytes, touched_bytes, tensor_bytes)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(EmulationRecord, num_devices, num_ranks)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(SimulationRecord, simulator, platform, payload_folded)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(LinkAssumptionRecord, gb_per_s, source)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(LinkTimeRecord, bytes, us)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(MisalignmentRecord, samples_us, max_over_ranks)

inline void to_json(nlohmann::json& out, const RoutingLoad& load) {
  const std::size_t ranks = load.rank.loads.size();
  out = {{"rank", load.rank},
         {"expert", load.expert},
         {"message", load.message},
         {"selections", rows_to_json(load.selections, ranks)},
         {"messages", rows_to_json(load.messages, ranks)},
         {"hot_over_others", load.hot_over_others},
         {"hottest_source", load.hottest_source},
         {"hottest_destination", load.hottest_destination}};
}

inline void from_json(const nlohmann::json& in, RoutingLoad& load) {
  std::size_t width = 0;
  in.at("rank").get_to(load.rank);
  in.at("expert").get_to(load.expert);
  in.at("message").get_to(load.message);
  load.selections = rows_from_json<std::int64_t>(in.at("selections"), width);
  load.messages = rows_from_json<std::int64_t>(in.at("messages"), width);
  in.at("hot_over_others").get_to(load.hot_over_others);
  in.at("hottest_source").get_to(load.hottest_source);
  in.at("hottest_destination").get_to(load.hottest_destination);
}

/// A field that files of an earlier minor version lack.
template <class T>
void get_since(const nlohmann::json& in, const char* name, std::optional<T>& value) {
  if (in.contains(name)) in.at(name).get_to(value);
}

using PhaseRecords = std::array<std::optional<PhaseRecord>, num_phases>;

inline nlohmann::json by_phase_name(const PhaseRecords& phases) {
  nlohmann::json named = nlohmann::json::object();
  for (const Phase phase : all_phases())
    named[std::string(name_of(phase))] = phases[static_cast<std::size_t>(phase)];
  return named;
}

inline void from_phase_names(const nlohmann::json& named, PhaseRecords& phases) {
  for (const Phase phase : all_phases())
    named.at(std::string(name_of(phase))).get_to(phases[static_cast<std::size_t>(phase)]);
}

inline void to_json(nlohmann::json& out, const RoundRecord& round) {
  out = {{"label", round.label},
         {"target_factor", round.target_factor},
         {"imbalance_level", round.imbalance_level},
         {"workload", round.workload},
         {"load", round.load},
         {"oracle", round.oracle},
         {"timing", by_phase_name(round.timing)},
         {"bandwidth", round.bandwidth},
         {"cost_of_imbalance", round.cost_of_imbalance},
         {"memory", round.memory},
         {"misalignment", round.misalignment},
         {"node_load", round.node_load},
         {"link_model", round.link_model},
         {"kernel_timing", by_phase_name(round.kernel_timing)},
         {"phase_costs", round.phase_costs}};
}

inline void from_json(const nlohmann::json& in, RoundRecord& round) {
  in.at("label").get_to(round.label);
  in.at("target_factor").get_to(round.target_factor);
  in.at("workload").get_to(round.workload);
  in.at("load").get_to(round.load);
  in.at("oracle").get_to(round.oracle);
  from_phase_names(in.at("timing"), round.timing);
  in.at("bandwidth").get_to(round.bandwidth);
  in.at("cost_of_imbalance").get_to(round.cost_of_imbalance);
  in.at("memory").get_to(round.memory);
  in.at("misalignment").get_to(round.misalignment);
  get_since(in, "node_load", round.node_load);
  if (in.contains("imbalance_level")) in.at("imbalance_level").get_to(round.imbalance_level);  // since 1.4
  if (in.contains("link_model")) in.at("link_model").get_to(round.link_model);  // since 1.3
  if (in.contains("kernel_timing"))
    from_phase_names(in.at("kernel_timing"), round.kernel_timing);                 // since 1.4
  if (in.contains("phase_costs")) in.at("phase_costs").get_to(round.phase_costs);  // since 1.4
}

inline void to_json(nlohmann::json& out, const Record& record) {
  out = {{"schema_version", record.schema_version},
         {"tool", record.tool},
         {"command", record.command},
         {"argv", record.argv},
         {"created", record.created},
         {"host", record.host},
         {"cpu", record.cpu},
         {"gpu", record.gpu},
         {"driver", record.driver},
         {"libraries", record.libraries},
         {"build", record.build},
         {"config", record.config},
         {"topology", record.topology},
         {"emulation", record.emulation},
         {"simulation", record.simulation},
         {"link_assumption", record.link_assumption},
         {"rounds", record.rounds}};
}

inline void from_json(const nlohmann::json& in, Record& record) {
  in.at("schema_version").get_to(record.schema_version);
  in.at("tool").get_to(record.tool);
  in.at("command").get_to(record.command);
  in.at("argv").get_to(record.argv);
  in.at("created").get_to(record.created);
  in.at("host").get_to(record.host);
  in.at("cpu").get_to(record.cpu);
  in.at("gpu").get_to(record.gpu);
  in.at("driver").get_to(record.driver);
  in.at("libraries").get_to(record.libraries);
  in.at("build").get_to(record.build);
  nlohmann::json config = in.at("config");
  if (config.is_object()) {
    config.emplace("passes", 1);                // since 1.2; an earlier run was one pass
    config.emplace("ranks_per_node", nullptr);  // since 1.4
  }
  config.get_to(record.config);
  in.at("rounds").get_to(record.rounds);
  get_since(in, "topology", record.topology);                // since 1.1
  get_since(in, "emulation", record.emulation);              // since 1.3
  get_since(in, "simulation", record.simulation);            // since 1.4
  get_since(in, "link_assumption", record.link_assumption);  // since 1.3
}

}  // namespace epskew
