#pragma once

/// What is timed.

#include <array>
#include <span>
#include <string_view>

namespace epskew {

enum class Phase { dispatch_send, dispatch_recv, combine_send, combine_recv, dispatch, combine, dispatch_combine };
inline constexpr int num_phases = 7;
/// As in records: "dispatch_send", … "dispatch+combine" is named "dispatch_combine".
std::string_view name_of(Phase phase);
std::span<const Phase> all_phases();

/// One timed iteration is one of these; ranks are aligned where a bar stands.
enum class TimingMode {
  pair,   ///< | dispatch combine |                     → dispatch_combine
  fused,  ///< | dispatch | combine |                   → dispatch, combine
  split   ///< | send | recv | send | recv |            → the four halves
};
inline constexpr std::array all_timing_modes = {TimingMode::pair, TimingMode::fused, TimingMode::split};
std::span<const Phase> phases_of(TimingMode mode);

/// What one local rank measured in one iteration.
struct IterationSample {
  std::array<double, num_phases> us;  ///< microseconds by Phase; NaN where this mode does not measure it
  double misalignment_us;             ///< this rank's start minus the first rank's start, of the iteration's first phase
  IterationSample();
};

}  // namespace epskew
