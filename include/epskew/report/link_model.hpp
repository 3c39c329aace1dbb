#pragma once

/// What the links would cost: computed, never measured.
///
/// Every rank has a link with two directions and a switch without contention behind it. An operation then
/// cannot be faster than the bytes of the busiest direction of any rank over the assumed bandwidth. Bytes are
/// counted as in bandwidth.hpp (`wire`), but what a rank takes in counts as well as what it sends; what stays
/// on a rank counts not.

#include <map>
#include <string>

#include "epskew/exchange/shape.hpp"
#include "epskew/report/record.hpp"

namespace epskew {

/// NVLink of an H200: 900 GB/s, both directions together.
inline constexpr double nvlink_gb_per_s = 450;
inline constexpr const char* nvlink_source =
    "NVLink of an H200: 900 GB/s in both directions together, NVIDIA H200 datasheet "
    "(https://www.nvidia.com/en-us/data-center/h200/)";

/// Nothing where the basis of a half is "none". By phase name: dispatch, combine, and dispatch_combine, the
/// sum of both. `wire_basis` as in BandwidthRecord.
std::map<std::string, LinkTimeRecord> link_times(const RoutingLoad& load,
                                                 const std::map<std::string, std::string>& wire_basis,
                                                 int hidden, const ExchangeOptions& options, double gb_per_s);

/// "emulation: …" and "model: …", a line each; empty for a run without either. For tables and pages.
std::string emulation_text(const Record& record);
/// The same for a simulation.
std::string simulation_text(const Record& record);
std::string link_model_text(const Record& record);

}  // namespace epskew
