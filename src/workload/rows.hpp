#pragma once

/// The parts of a routing table around the dealing: degrees after masking, the order inside rows, gate
/// weights.

#include <cstdint>
#include <vector>

#include "epskew/routing/routing_table.hpp"
#include "epskew/workload/spec.hpp"

namespace epskew {

/// k_t of every token: topk less its masked entries. On each rank min(num_masked, T·K) entries are masked,
/// drawn uniformly among that rank's entries.
std::vector<std::uint8_t> degrees_after_masking(const WorkloadSpec& spec);

/// A table of the spec's shape; topk_idx is 0, topk_weights is empty until finish_rows.
RoutingTable empty_table(int num_experts, int topk, const std::vector<std::int32_t>& tokens_per_rank);

/// Turns rows that hold degrees[t] experts each at the front into finished rows: entries, the masked ones
/// (-1) included, in random order, and weights. A token's weights are positive, i.i.d. uniform before they
/// are scaled to sum to 1, in no relation to the order of entries; each is a correctly rounded quotient of
/// two integers below 2^24, so it is the same on every machine.
void finish_rows(RoutingTable& table, const std::vector<std::uint8_t>& degrees, std::uint64_t seed);

}  // namespace epskew
