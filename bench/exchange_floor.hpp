#pragma once

/// The least time that dispatch + combine of a routing can take on this machine, ranks sharing its memory.

#include "epskew/exchange/shape.hpp"
#include "epskew/routing/routing_table.hpp"
#include "machine_rates.hpp"

namespace epskew {

struct Floor {
  /// Bytes that must move / copy rate + tokens cast / cast rate; for combine the larger of bytes / copy rate
  /// and results reduced / reduce rate.
  double us = 0;
  /// As above, but the cast overlaps with moving, and moving takes no less than bytes written / store rate
  /// nor bytes read / load rate: where stores alone run no faster than the stores of a copy, moving bytes
  /// that are nearly all written takes longer than the first floor says.
  double by_direction_us = 0;
};

Floor floor_of(const Rates& rates, const RoutingTable& table, const ExchangeShape& shape,
               DispatchFormat format);

}  // namespace epskew
