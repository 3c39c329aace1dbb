#pragma once

/// The random streams of fit: one for every purpose, level, layer and family, so that no result depends on
/// what else was asked for.

#include <cstdint>

namespace epskew::fit {

enum class Purpose : std::uint64_t { floor = 1, resample_loads, resample_layers, simulate };

inline std::uint64_t stream_of(Purpose purpose, int num_ranks = 0, int layer = 0, int family = 0) {
  constexpr std::uint64_t module = 0x666974;  // "fit"
  return module << 40 ^ static_cast<std::uint64_t>(purpose) << 36 ^
         static_cast<std::uint64_t>(num_ranks) << 20 ^ static_cast<std::uint64_t>(layer) << 4 ^
         static_cast<std::uint64_t>(family);
}

}  // namespace epskew::fit
