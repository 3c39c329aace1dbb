#pragma once

#include <memory>

#include "binding.hpp"
#include "epskew/trace/trace.hpp"

namespace epskew::python {

/// A recording of expert loads: [E] for one layer, [layers, E] for several. Throws UsageError.
Trace trace_of_counts(nb::handle counts, std::optional<int> topk);

}  // namespace epskew::python
