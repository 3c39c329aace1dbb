#pragma once

#include "epskew/backends/registry.hpp"

namespace epskew {

const Backend& reference_backend();

}  // namespace epskew
