#pragma once

#include "epskew/backends/registry.hpp"

namespace epskew {

const Backend& nccl_backend();

}  // namespace epskew
