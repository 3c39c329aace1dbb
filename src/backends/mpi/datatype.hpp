#pragma once

#include <mpi.h>

#include <cstddef>

#include "backends/mpi/library.hpp"

namespace epskew::mpi {

/// A committed type of so many contiguous bytes: counts of it stay small where bytes would overflow an int.
/// The caller frees it.
inline MPI_Datatype bytes_type(std::size_t bytes) {
  MPI_Datatype type = MPI_DATATYPE_NULL;
  check(MPI_Type_contiguous(static_cast<int>(bytes), MPI_BYTE, &type), "MPI_Type_contiguous");
  check(MPI_Type_commit(&type), "MPI_Type_commit");
  return type;
}

}  // namespace epskew::mpi
