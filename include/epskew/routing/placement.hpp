#pragma once

/// Where experts live: a permutation from logical experts to physical slots.

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace epskew {

/// slot_of_expert[logical] = physical expert number; physical expert p lives on rank p / L. A permutation of
/// [0, E).
struct Placement {
  std::vector<std::int32_t> slot_of_expert;  ///< [E]

  friend bool operator==(const Placement&, const Placement&) = default;
};

/// Throws UsageError unless `placement` is a permutation of [0, num_experts); `what` names it in the message.
void validate(const Placement& placement, int num_experts, const std::string& what);

Placement contiguous_placement(int num_experts);
/// Expert e on rank e mod num_ranks. Precondition: num_ranks divides num_experts.
Placement spread_placement(int num_experts, int num_ranks);
/// A uniformly random permutation, a function of the seed alone.
Placement random_placement(int num_experts, std::uint64_t seed);
/// A JSON file {"format": "epskew-placement", "version": 1, "slot_of_expert": [...]}; throws UsageError.
Placement read_placement(const std::filesystem::path& file, int num_experts);

}  // namespace epskew
