#pragma once

/// The ways in which this backend can be told to work.

#include <memory>
#include <optional>
#include <string>

#include "backends/mpi/mpi_exchange.hpp"

namespace epskew::mpi {

enum class Algorithm {
  automatic,  ///< all of the below are tried, the fastest goes on
  alltoallv,  ///< counts, then data, by collectives
  rma,        ///< one put per destination rank
  pairwise,   ///< one message per destination rank, sent while the next is packed
  node        ///< shared memory inside a node, one message per destination node
};

struct Variants {
  Algorithm algorithm = Algorithm::automatic;  ///< "exchange"
  std::optional<int> ranks_per_node;           ///< "ranks-per-node": takes parts of a machine as nodes
};

/// Throws UsageError for a name or value that does not exist.
Variants parse_variants(const ExchangeOptions& options);
/// Collective over setting.comm.
std::unique_ptr<MpiExchange> make_exchange(const Setting& setting);

}  // namespace epskew::mpi
