#pragma once

#include <cstdint>

namespace epskew {

/// Bounds on what a recording may claim, far above any model, so that a broken number cannot ask for all
/// memory.
inline constexpr std::int64_t max_experts = 1 << 16;
inline constexpr std::int64_t max_layers = 1 << 16;
inline constexpr std::int64_t max_topk = 1 << 10;
/// Counts kept at once: layers × steps × experts, 512 MiB.
inline constexpr std::int64_t max_count_cells = std::int64_t{1} << 26;
/// One count. Sums of max_count_cells of them stay below 2^63.
inline constexpr std::int64_t max_count = std::int64_t{1} << 36;

}  // namespace epskew
