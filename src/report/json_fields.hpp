#pragma once

/// How each struct of a Record becomes JSON: by the names of its members. Private to json.cpp.

#include <fmt/format.h>

#include <cstdint>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "epskew/report/record.hpp"
#include "epskew/support/json_file.hpp"

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
};

}  // namespace nlohmann

namespace epskew {

// Reading: nlohmann's own conversions cut 4.9 to 4, wrap 4294967300 to 4 and -1 to 18446744073709551615.
// These throw std::invalid_argument instead.

template <class T>
void read_value(const nlohmann::json& in, std::optional<T>& value);
template <class T>
void read_value(const nlohmann::json& in, std::vector<T>& values);
template <class T>
void read_value(const nlohmann::json& in, std::map<std::string, T>& values);

template <class T>
void read_value(const nlohmann::json& in, T& value) {
  if constexpr (std::is_same_v<T, bool> || std::is_same_v<T, std::string>) {
    in.get_to(value);
  } else if constexpr (std::is_integral_v<T>) {
    const bool fits = in.is_number_unsigned()
                          ? std::in_range<T>(in.get<std::uint64_t>())
                          : in.is_number_integer() && std::in_range<T>(in.get<std::int64_t>());
    if (!fits) {
      throw std::invalid_argument(fmt::format("{} is no whole number from {} to {}", dump_json(in),
                                              std::numeric_limits<T>::min(), std::numeric_limits<T>::max()));
    }
    in.get_to(value);
  } else if constexpr (std::is_floating_point_v<T>) {
    if (!in.is_number()) throw std::invalid_argument(dump_json(in) + " is no number");
    in.get_to(value);
  } else {
    from_json(in, value);
  }
}

template <class T>
void read_value(const nlohmann::json& in, std::optional<T>& value) {
  value.reset();
  if (!in.is_null()) read_value(in, value.emplace());
}

template <class T>
void read_value(const nlohmann::json& in, std::vector<T>& values) {
  if (!in.is_array()) throw std::invalid_argument("a list is expected");
  values.clear();
  for (const nlohmann::json& each : in) read_value(each, values.emplace_back());
}

template <class T>
void read_value(const nlohmann::json& in, std::map<std::string, T>& values) {
  if (!in.is_object()) throw std::invalid_argument("an object is expected");
  values.clear();
  for (const auto& [name, each] : in.items()) read_value(each, values[name]);
}

/// The member `name` of `in`; what is wrong with it is told with its name.
template <class T>
void read_member(const nlohmann::json& in, const char* name, T& value) {
  try {
    read_value(in.at(name), value);
  } catch (const std::invalid_argument& error) {
    throw std::invalid_argument(fmt::format("{}: {}", name, error.what()));
  }
}

// to_json and from_json of a struct whose members are the file's.
#define EPSKEW_READ_MEMBER(member) ::epskew::read_member(nlohmann_json_j, #member, nlohmann_json_t.member);
#define EPSKEW_FIELDS(Type, ...)                                                        \
  inline void to_json(nlohmann::json& nlohmann_json_j, const Type& nlohmann_json_t) {   \
    NLOHMANN_JSON_EXPAND(NLOHMANN_JSON_PASTE(NLOHMANN_JSON_TO, __VA_ARGS__))            \
  }                                                                                     \
  inline void from_json(const nlohmann::json& nlohmann_json_j, Type& nlohmann_json_t) { \
    NLOHMANN_JSON_EXPAND(NLOHMANN_JSON_PASTE(EPSKEW_READ_MEMBER, __VA_ARGS__))          \
  }

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
    std::vector<T> values;
    read_value(row, values);
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

EPSKEW_FIELDS(Summary, mean, min, max, p50, p90, p99)
EPSKEW_FIELDS(RatioInterval, ratio, low, high)
EPSKEW_FIELDS(LoadMetrics, loads, max, min, mean, median, std, factor, balancedness, max_vio, cv, gini,
              entropy, empty, hot)
EPSKEW_FIELDS(ToolRecord, name, version)
EPSKEW_FIELDS(HostRecord, name, system, memory_bytes)
EPSKEW_FIELDS(CpuRecord, model, logical_cores, llc_bytes)
EPSKEW_FIELDS(BuildRecord, compiler, flags, type, commit)
EPSKEW_FIELDS(ClockRecord, source, resolution_ns)
EPSKEW_FIELDS(ConfigRecord, num_ranks, num_experts, topk, hidden, max_tokens, tokens_per_rank,
              dispatch_format, combine_format, backend, variants, backend_facts, micro_batches, timeout_ms,
              iterations, warmup, passes, flush_cache, flush_bytes, clock, distribution, imbalance_factors,
              num_masked, ranks_per_node, seed, trace)
EPSKEW_FIELDS(LinkRecord, from, to, latency_us, gb_per_s)
EPSKEW_FIELDS(TopologyRecord, hosts, node_of_rank, cores, sockets, links)
EPSKEW_FIELDS(WorkloadRecord, distribution, parameters, seed, digest, feasible_max, uniform_floor)
EPSKEW_FIELDS(OracleRecord, before, after)
EPSKEW_FIELDS(PhaseRecord::PerRank, mean, min, max)
EPSKEW_FIELDS(PhaseRecord::OverRanks, mean, min, max)
EPSKEW_FIELDS(PhaseRecord, samples_us, slowest_rank, hot_rank, per_rank, over_ranks, times_slowest)
EPSKEW_FIELDS(RateRecord, bytes, gb_per_s)
EPSKEW_FIELDS(BandwidthRecord, send_logical, hot_receive, wire, wire_basis)
EPSKEW_FIELDS(CostRecord, ratio, low, high, reference, phases)

inline void to_json(nlohmann::json& out, const MemoryRecord& memory) {
  out = {{"reserved_bytes", memory.reserved_bytes},
         {"touched_bytes", memory.touched_bytes},
         {"tensor_bytes", memory.tensor_bytes}};
}

inline void from_json(const nlohmann::json& in, MemoryRecord& memory) {
  read_member(in, "reserved_bytes", memory.reserved_bytes);
  read_member(in, "touched_bytes", memory.touched_bytes);
  if (in.contains("tensor_bytes")) read_member(in, "tensor_bytes", memory.tensor_bytes);
}

EPSKEW_FIELDS(EmulationRecord, num_devices, num_ranks)
EPSKEW_FIELDS(SimulationRecord, simulator, platform, payload_folded)
EPSKEW_FIELDS(LinkAssumptionRecord, gb_per_s, source)
EPSKEW_FIELDS(LinkTimeRecord, bytes, us)
EPSKEW_FIELDS(MisalignmentRecord, samples_us, max_over_ranks)

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
  read_member(in, "rank", load.rank);
  read_member(in, "expert", load.expert);
  read_member(in, "message", load.message);
  load.selections = rows_from_json<std::int64_t>(in.at("selections"), width);
  load.messages = rows_from_json<std::int64_t>(in.at("messages"), width);
  // JSON has no infinity: null where only the hot rank has load.
  std::optional<double> ratio;
  read_member(in, "hot_over_others", ratio);
  load.hot_over_others = ratio.value_or(std::numeric_limits<double>::infinity());
  read_member(in, "hottest_source", load.hottest_source);
  read_member(in, "hottest_destination", load.hottest_destination);
}

/// A field that files of an earlier minor version lack.
template <class T>
void get_since(const nlohmann::json& in, const char* name, std::optional<T>& value) {
  if (in.contains(name)) read_member(in, name, value);
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
    read_member(named, std::string(name_of(phase)).c_str(), phases[static_cast<std::size_t>(phase)]);
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
  read_member(in, "label", round.label);
  read_member(in, "target_factor", round.target_factor);
  read_member(in, "workload", round.workload);
  read_member(in, "load", round.load);
  read_member(in, "oracle", round.oracle);
  from_phase_names(in.at("timing"), round.timing);
  read_member(in, "bandwidth", round.bandwidth);
  read_member(in, "cost_of_imbalance", round.cost_of_imbalance);
  read_member(in, "memory", round.memory);
  read_member(in, "misalignment", round.misalignment);
  get_since(in, "node_load", round.node_load);
  if (in.contains("imbalance_level")) read_member(in, "imbalance_level", round.imbalance_level);  // since 1.4
  if (in.contains("link_model")) read_member(in, "link_model", round.link_model);                 // since 1.3
  if (in.contains("kernel_timing"))
    from_phase_names(in.at("kernel_timing"), round.kernel_timing);                    // since 1.4
  if (in.contains("phase_costs")) read_member(in, "phase_costs", round.phase_costs);  // since 1.4
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

/// Whether files of the version may lack config.passes, since 1.2; an earlier run was one pass.
inline bool passes_are_younger_than(const std::string& schema_version) {
  return schema_version.starts_with("1.0.") || schema_version.starts_with("1.1.");
}

inline void from_json(const nlohmann::json& in, Record& record) {
  read_member(in, "schema_version", record.schema_version);
  read_member(in, "tool", record.tool);
  read_member(in, "command", record.command);
  read_member(in, "argv", record.argv);
  read_member(in, "created", record.created);
  read_member(in, "host", record.host);
  read_member(in, "cpu", record.cpu);
  read_member(in, "gpu", record.gpu);
  read_member(in, "driver", record.driver);
  read_member(in, "libraries", record.libraries);
  read_member(in, "build", record.build);
  nlohmann::json config = in.at("config");
  if (config.is_object()) {
    if (passes_are_younger_than(record.schema_version)) config.emplace("passes", 1);
    config.emplace("ranks_per_node", nullptr);  // since 1.4
  }
  from_json(config, record.config);
  read_member(in, "rounds", record.rounds);
  get_since(in, "topology", record.topology);                // since 1.1
  get_since(in, "emulation", record.emulation);              // since 1.3
  get_since(in, "simulation", record.simulation);            // since 1.4
  get_since(in, "link_assumption", record.link_assumption);  // since 1.3
}

}  // namespace epskew
