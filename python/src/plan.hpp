#pragma once

/// A plan as Python holds it.

#include <memory>
#include <string>
#include <vector>

#include "bench_plan.hpp"
#include "binding.hpp"
#include "routing.hpp"

namespace epskew::python {

struct BenchPlan {
  app::BenchFlags flags;
  app::BenchPlan plan;
  std::vector<Visit> visits;
  std::vector<std::shared_ptr<Routing>> routings;  ///< by round

  const SessionPlan& session() const { return plan.session; }
};

}  // namespace epskew::python
