#include "epskew/report/link_model.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "epskew/report/bandwidth.hpp"

namespace epskew {
namespace {

/// The most copies that enter or leave a rank. `copies` [R from][R to].
std::int64_t busiest_direction(const std::vector<std::int64_t>& copies, std::size_t ranks) {
  std::int64_t most = 0;
  for (std::size_t rank = 0; rank < ranks; ++rank) {
    std::int64_t out = 0;
    std::int64_t in = 0;
    for (std::size_t other = 0; other < ranks; ++other) {
      if (other == rank) continue;
      out += copies[rank * ranks + other];
      in += copies[other * ranks + rank];
    }
    most = std::max({most, out, in});
  }
  return most;
}

}  // namespace

std::map<std::string, LinkTimeRecord> link_times(const RoutingLoad& load,
                                                 const std::map<std::string, std::string>& wire_basis,
                                                 int hidden, const ExchangeOptions& options,
                                                 double gb_per_s) {
  if (wire_basis.at("dispatch") == "none" || wire_basis.at("combine") == "none") return {};
  // Combine goes the same ways backwards, and the busiest direction is the same either way round.
  const auto copies = [&](const char* half) {
    const bool messages = wire_basis.at(half) == "messages";
    return busiest_direction(messages ? load.messages : load.selections, load.rank.loads.size());
  };
  // bytes / (GB/s · 1000) = microseconds
  const auto time = [&](std::int64_t bytes) {
    return LinkTimeRecord{bytes, static_cast<double>(bytes) / gb_per_s / 1e3};
  };
  const std::int64_t there = copies("dispatch") * dispatch_bytes_per_selection(options.dispatch, hidden);
  const std::int64_t back = copies("combine") * combine_bytes_per_selection(options.combine, hidden);
  return {{"dispatch", time(there)}, {"combine", time(back)}, {"dispatch_combine", time(there + back)}};
}

std::string simulation_text(const Record& record) {
  if (!record.simulation) return "";
  return fmt::format(
      "all times are computed by {} for {}; none was measured{}", record.simulation->simulator,
      record.simulation->platform,
      record.simulation->payload_folded ? " (rows held no data, the oracle did not look)" : "");
}

std::string emulation_text(const Record& record) {
  if (!record.emulation) return "";
  return fmt::format("{} rank{} on {} GPU{}; no measured time holds a link between GPUs",
                     record.emulation->num_ranks, record.emulation->num_ranks == 1 ? "" : "s",
                     record.emulation->num_devices, record.emulation->num_devices == 1 ? "" : "s");
}

std::string link_model_text(const Record& record) {
  if (!record.link_assumption) return "";
  return fmt::format("bytes of the busiest link direction / {:g} GB/s, not measured; {}",
                     record.link_assumption->gb_per_s, record.link_assumption->source);
}

}  // namespace epskew
