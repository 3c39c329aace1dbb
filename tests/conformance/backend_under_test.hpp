#pragma once

#include "epskew/backends/registry.hpp"

namespace epskew::testing {

/// The backend that this executable of the suite is about.
const Backend& backend_under_test();

}  // namespace epskew::testing
