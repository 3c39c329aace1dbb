#pragma once

#include "epskew/backends/registry.hpp"

namespace epskew {

const Backend& mpi_backend();

}  // namespace epskew
