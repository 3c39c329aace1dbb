#pragma once

#include "epskew/fit/fit.hpp"
#include "epskew/workload/law_file.hpp"

namespace epskew {

/// The law that a report's level follows, ready for `bench --law`: the competing family with the lowest mean
/// SSE, with the parameters that have the least SSE over all layers together. A family that the generator has
/// is given by its parameters, any other by its curve; one whose curve goes below zero cannot be generated
/// and is passed over.
///
/// The level is that of the experts where they were fitted (their law holds for any number of ranks), else
/// that of the ranks. Throws UsageError where several numbers of ranks were fitted and no experts: a law of
/// ranks holds for one.
LawFile law_of(const FitReport& report);

}  // namespace epskew
