#pragma once

/// The ways in which this backend can be told to work.

#include <memory>
#include <string>

#include "backends/mpi/mpi_exchange.hpp"

namespace epskew::mpi {

/// Value of the variant "exchange".
enum class Algorithm { alltoallv, rma };

struct Variants {
  Algorithm algorithm = Algorithm::rma;
};

/// Throws UsageError for a name or value that does not exist.
Variants parse_variants(const ExchangeOptions& options);
/// Collective over setting.comm.
std::unique_ptr<Exchange> make_exchange(const Setting& setting);

}  // namespace epskew::mpi
