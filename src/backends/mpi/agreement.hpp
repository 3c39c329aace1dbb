#pragma once

/// Whether all processes of a job are set to do the same: the same program, arguments and byte order.

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "backends/mpi/control.hpp"
#include "epskew/exchange/shape.hpp"

namespace epskew::mpi {

/// What has to agree, in a form that can be compared between machines of different byte order.
struct Identity {
  std::array<unsigned char, 4> byte_order;  ///< bytes of the number 0x01020304 as this machine stores it
  std::array<unsigned char, 16> program;    ///< hash of the executable file
  std::array<unsigned char, 16> arguments;  ///< hash of the command line without the program's name
  std::array<unsigned char, 16> exchange;   ///< hash of shape and options
};

Identity identify(const ExchangeShape& shape, const ExchangeOptions& options);
/// What differs from the first process, and in which: {5, "runs another build of the program"}; nullopt where
/// all agree.
struct Disagreement {
  int rank;
  std::string what;
};
std::optional<Disagreement> find_disagreement(const std::vector<Identity>& all);

/// Collective. Throws UsageError, in every process, naming the first that differs from rank 0.
void require_same_job(Control& control, MPI_Comm comm, const ExchangeShape& shape,
                      const ExchangeOptions& options);
/// Collective: the same for one value, for instance a routing digest. `what` names it in the message.
void require_same(Control& control, MPI_Comm comm, const std::string& what, const std::string& value);

}  // namespace epskew::mpi
