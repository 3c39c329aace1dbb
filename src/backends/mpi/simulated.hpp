#pragma once

/// What differs where MPI is SimGrid's SMPI, which runs all ranks in one process and computes their time.
///
/// A rank gives way to the others only inside MPI calls, so waiting must be one of them; there is nothing to
/// guard, because no rank can be lost; and memory that ranks share takes no time.

#include <optional>

#include "epskew/exchange/world.hpp"

namespace epskew::mpi {

#ifdef EPSKEW_SMPI
inline constexpr bool is_simulated = true;
/// Of this run.
Simulation simulation();
/// From now on the memory of rows is folded, where EPSKEW_FOLD_PAYLOAD says from how many bytes on. Throws
/// UsageError where that is no number, or so small that lists of a routing of this shape would be folded too.
void fold_payload(const ExchangeShape& shape);
/// Whether it is.
bool payload_is_folded();
#else
inline constexpr bool is_simulated = false;
inline Simulation simulation() {
  return {};
}
inline void fold_payload(const ExchangeShape& /*shape*/) {}
inline bool payload_is_folded() {
  return false;
}
#endif

}  // namespace epskew::mpi
