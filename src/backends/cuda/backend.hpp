#pragma once

#include "epskew/backends/registry.hpp"

namespace epskew {

const Backend& cuda_backend();

}  // namespace epskew
