#pragma once

/// Bandwidths, named by what they count (DESIGN §2).
///
/// send_logical: selections of a source rank, mean over ranks, local ones included, × bytes a selection: the
/// numerator
///   of DeepEP's test.
/// hot_receive: what the rank with the largest load takes in, from itself included, counted as for wire.
/// wire: what leaves a rank for another one, of the rank for which this is most; one copy a selection or a
///   message, as WorldFacts::copies says; absent where the backend's copies follow neither.
/// All are divided by the slowest rank's median time.

#include <array>
#include <cstdint>
#include <optional>

#include "epskew/exchange/shape.hpp"
#include "epskew/exchange/world.hpp"
#include "epskew/report/record.hpp"

namespace epskew {

/// Bytes that DeepEP's test counts for one selection (research: its `num_fp8_bytes`, `num_bf16_bytes`,
/// `num_logfmt10_bytes`): dispatch FP8 H + H/128·4 + 16, bf16 2·H; combine bf16 2·H, LogFMT-10 H·10/8 +
/// H/128·4.
std::int64_t dispatch_bytes_per_selection(DispatchFormat format, int hidden);
std::int64_t combine_bytes_per_selection(CombineFormat format, int hidden);

BandwidthRecord bandwidth_of(const RoutingLoad& load,
                             const std::array<std::optional<PhaseRecord>, num_phases>& timing, int hidden,
                             const ExchangeOptions& options, std::optional<WireCopies> copies);

}  // namespace epskew
