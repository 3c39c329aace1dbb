#pragma once

/// A routing as Python holds it.

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "binding.hpp"
#include "epskew/workload/generate.hpp"

namespace epskew::python {

/// Immutable but for the copies that views show, which torch lets its users write to.
class Routing {
 public:
  /// `spec`: JSON of the routing file. `label`: unset, the distribution.
  Routing(Workload workload, std::string spec, std::optional<std::string> label = std::nullopt);

  const Workload& workload() const { return workload_; }
  const RoutingTable& table() const { return workload_.table; }
  const std::string& spec() const { return spec_; }
  const std::string& label() const { return label_; }

  /// [N][K], made on first use.
  std::vector<std::int64_t>& ids();
  std::vector<float>& weights();

 private:
  Workload workload_;
  std::string spec_;
  std::string label_;
  std::vector<std::int64_t> ids_;
  std::vector<float> weights_;
};

/// Shape [R, T, K], or [N, K] with the numbers of tokens; `tokens_per_rank` counts the leading rows of each
/// rank that are tokens in the first case.
struct GivenShape {
  int num_experts = 0;
  std::optional<int> num_ranks;
  std::optional<std::vector<std::int32_t>> tokens_per_rank;
};

/// A valid table from arrays. Throws UsageError.
RoutingTable table_from(nb::handle topk_idx, nb::handle topk_weights, const GivenShape& shape);

}  // namespace epskew::python
