#pragma once

#include <string>
#include <utility>

#include "binding.hpp"
#include "epskew/report/record.hpp"

namespace epskew::python {

/// A finished run as Python holds it.
struct Result {
  Record record;
};

}  // namespace epskew::python
