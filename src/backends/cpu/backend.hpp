#pragma once

#include "epskew/backends/registry.hpp"

namespace epskew {

const Backend& cpu_backend();

}  // namespace epskew
