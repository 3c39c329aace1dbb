#include "backends/cuda/choice.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace epskew::cuda {
namespace {

// Bytes a microsecond.
constexpr double link = 450e3;  ///< NVLink of an H200, one direction
constexpr double copy =
    3.92e6;  ///< device memory, read and written, measured (bench/results/h200-roofline.json)
/// What a further pass over received or returned rows costs beside its bytes: flags, headers, latency.
constexpr double pass_us = 1.5;

/// Microseconds of one rank's traffic.
struct Estimate {
  double tokens;
  double topk;
  double destinations;
  double remote;  ///< share of traffic that leaves the rank

  explicit Estimate(const ExchangeShape& shape)
      : tokens(shape.max_tokens),
        topk(shape.topk),
        destinations(mean_destinations(shape)),
        remote(1.0 - 1.0 / shape.num_ranks) {}

  double over_link(double copies, double bytes) const { return tokens * copies * remote * bytes / link; }
  double through_memory(double copies, double bytes) const { return tokens * copies * bytes / copy; }
};

DispatchAlgorithm faster_dispatch(const Estimate& e, double bytes) {
  const double direct = e.over_link(e.topk, bytes);
  const double dedup =
      e.over_link(e.destinations, bytes) + e.through_memory(e.destinations + e.topk, bytes) + pass_us;
  return dedup < direct ? DispatchAlgorithm::dedup : DispatchAlgorithm::direct;
}

CombineAlgorithm faster_combine(const Estimate& e, double bytes) {
  const double pull = e.over_link(e.topk, bytes);
  const double prereduce =
      e.over_link(e.destinations, bytes) + e.through_memory(e.topk + 2 * e.destinations, bytes) + pass_us;
  return prereduce < pull ? CombineAlgorithm::prereduce : CombineAlgorithm::pull;
}

}  // namespace

std::string_view name_of(DispatchAlgorithm algorithm) {
  return algorithm == DispatchAlgorithm::direct ? "direct" : "dedup";
}

std::string_view name_of(CombineAlgorithm algorithm) {
  switch (algorithm) {
    case CombineAlgorithm::push:
      return "push";
    case CombineAlgorithm::prereduce:
      return "prereduce";
    case CombineAlgorithm::pull:
      break;
  }
  return "pull";
}

double mean_destinations(const ExchangeShape& shape) {
  double none = 1;  // the chance that a token has no expert on a given rank
  for (int k = 0; k < shape.topk; ++k) {
    const double left = shape.num_experts - k;
    none *= std::max(left - shape.experts_per_rank(), 0.0) / left;
  }
  return shape.num_ranks * (1 - none);
}

Algorithms choose_algorithms(const ExchangeShape& shape, const ExchangeOptions& options,
                             const Settings& settings) {
  Algorithms chosen;
  if (settings.links) {
    const Estimate estimate(shape);
    chosen.dispatch =
        faster_dispatch(estimate, static_cast<double>(row_bytes(options.dispatch, shape.hidden) +
                                                      scale_row_bytes(options.dispatch, shape.hidden)));
    if (options.combine == CombineFormat::bf16) chosen.combine = faster_combine(estimate, 2.0 * shape.hidden);
  }
  chosen.dispatch = settings.dispatch.value_or(chosen.dispatch);
  chosen.combine = settings.combine.value_or(chosen.combine);
  return chosen;
}

std::string describe_choice(const Algorithms& chosen, const Settings& settings) {
  return fmt::format(
      "chosen: dispatch={}{}, combine={}{} ({})", name_of(chosen.dispatch),
      settings.dispatch ? " (as asked)" : "", name_of(chosen.combine), settings.combine ? " (as asked)" : "",
      settings.links ? "estimated bytes over links and through memory" : "one GPU: no link to save bytes on");
}

}  // namespace epskew::cuda
