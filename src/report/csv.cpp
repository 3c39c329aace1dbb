#include "epskew/report/csv.hpp"

#include <fmt/format.h>

#include <optional>
#include <string_view>

namespace epskew {
namespace {

constexpr std::string_view head =
    "round,target_factor,realised_factor,distribution,digest,phase,iterations,"
    "slowest_mean_us,slowest_min_us,slowest_max_us,slowest_p50_us,slowest_p90_us,slowest_p99_us,"
    "hot_mean_us,hot_p50_us,ranks_mean_us,ranks_min_us,ranks_max_us,"
    "send_logical_bytes,send_logical_gb_per_s,hot_receive_bytes,hot_receive_gb_per_s,wire_bytes,wire_gb_per_"
    "s,"
    "cost_ratio,cost_low,cost_high,oracle_before,oracle_after,"
    "backend,num_ranks,num_experts,topk,hidden,dispatch_format,combine_format,"
    "emulation_gpus,link_model_bytes,link_model_us,"
    "kernel_iterations,kernel_slowest_mean_us,kernel_slowest_p50_us,"
    "simulator,imbalance_level,node_factor\n";

// RFC 4180: quoted where it holds a separator.
std::string quoted(std::string_view text) {
  if (text.find_first_of(",\"\r\n") == std::string_view::npos) return std::string(text);
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"') out += '"';
    out += c;
  }
  return out + '"';
}

class Row {
 public:
  void add(std::string_view text) {
    if (!text_.empty()) text_ += ',';
    text_ += quoted(text);
  }
  void add(const std::optional<std::string>& text) { add(std::string_view(text ? *text : "")); }
  void add(double value) { add(std::string_view(fmt::format("{}", value))); }
  void add(std::int64_t value) { add(std::string_view(fmt::format("{}", value))); }
  void add(const std::optional<double>& value) {
    if (value) {
      add(*value);
    } else {
      text_ += ',';
    }
  }
  void add_empty(int count) { text_.append(static_cast<std::size_t>(count), ','); }
  std::string line() const { return text_ + '\n'; }

 private:
  std::string text_;
};

void add_rate(Row& row, const std::map<std::string, RateRecord>& rates, const std::string& phase) {
  const auto found = rates.find(phase);
  if (found == rates.end()) {
    row.add_empty(2);
  } else {
    row.add(found->second.bytes);
    row.add(found->second.gb_per_s);
  }
}

void add_cost(Row& row, const RatioInterval* cost) {
  if (cost == nullptr) {
    row.add_empty(3);
  } else {
    for (const double value : {cost->ratio, cost->low, cost->high}) row.add(value);
  }
}

void add_kernels(Row& row, const std::optional<PhaseRecord>& kernels) {
  if (!kernels) {
    row.add_empty(3);
    return;
  }
  row.add(std::int64_t{kernels->samples_us.iterations()});
  row.add(kernels->slowest_rank.mean);
  row.add(kernels->slowest_rank.p50);
}

void add_times(Row& row, const PhaseRecord& timed) {
  const Summary& slowest = timed.slowest_rank;
  row.add(std::int64_t{timed.samples_us.iterations()});
  for (const auto& value : {slowest.mean, slowest.min, slowest.max, slowest.p50, slowest.p90, slowest.p99})
    row.add(value);
  row.add(timed.hot_rank.mean);
  row.add(timed.hot_rank.p50);
  for (const double value : {timed.over_ranks.mean, timed.over_ranks.min, timed.over_ranks.max})
    row.add(value);
}

void add_model(Row& row, const Record& record, const RoundRecord& round, const std::string& phase) {
  if (record.emulation) {
    row.add(std::int64_t{record.emulation->num_devices});
  } else {
    row.add_empty(1);
  }
  const auto found = round.link_model.find(phase);
  if (found == round.link_model.end()) {
    row.add_empty(2);
  } else {
    row.add(found->second.bytes);
    row.add(found->second.us);
  }
}

std::string row_of(const Record& record, const RoundRecord& round, Phase which) {
  const ConfigRecord& config = record.config;
  const std::string phase(name_of(which));
  Row row;
  row.add(std::string_view(round.label));
  row.add(round.target_factor);
  row.add(round.load.rank.factor);
  row.add(std::string_view(round.workload.distribution));
  row.add(std::string_view(round.workload.digest));
  row.add(std::string_view(phase));
  add_times(row, *round.phase(which));
  add_rate(row, round.bandwidth.send_logical, phase);
  add_rate(row, round.bandwidth.hot_receive, phase);
  add_rate(row, round.bandwidth.wire, phase);
  add_cost(row, round.cost_of(which));
  row.add(round.oracle.before);
  row.add(round.oracle.after);
  row.add(std::string_view(config.backend));
  for (const int value : {config.num_ranks, config.num_experts, config.topk, config.hidden})
    row.add(std::int64_t{value});
  row.add(std::string_view(config.dispatch_format));
  row.add(std::string_view(config.combine_format));
  add_model(row, record, round, phase);
  add_kernels(row, round.kernels(which));
  row.add(record.simulation ? std::optional(record.simulation->simulator) : std::nullopt);
  row.add(std::string_view(round.imbalance_level));
  row.add(round.node_load ? std::optional(round.node_load->factor) : std::nullopt);
  return row.line();
}

}  // namespace

std::string to_csv(const Record& record) {
  std::string text(head);
  for (const RoundRecord& round : record.rounds) {
    for (const Phase phase : all_phases()) {
      if (round.phase(phase)) text += row_of(record, round, phase);
    }
  }
  return text;
}

}  // namespace epskew
