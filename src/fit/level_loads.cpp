#include "fit/level_loads.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "epskew/support/error.hpp"

namespace epskew::fit {
namespace {

void check_trace(const Trace& trace) {
  const std::string source = trace.source.string();
  if (trace.layers.empty()) {
    throw UsageError(source + " has no layers (nothing to fit); check --layers and the recording");
  }
  if (trace.num_experts < 2) {
    throw UsageError(
        fmt::format("{} has {} expert (a law needs at least two places); record a model with more", source,
                    trace.num_experts));
  }
  for (const TraceLayer& layer : trace.layers) {
    if (static_cast<int>(layer.counts.size()) != trace.num_experts) {
      throw UsageError(
          fmt::format("{}: layer {} has {} experts (the trace has {}); fit layers of one width at a time "
                      "with --layers",
                      source, layer.layer, layer.counts.size(), trace.num_experts));
    }
    const auto negative =
        std::find_if(layer.counts.begin(), layer.counts.end(), [](auto c) { return c < 0; });
    if (negative != layer.counts.end()) {
      throw UsageError(
          fmt::format("{}: layer {} counts {} selections of expert {} (a count is not negative); correct "
                      "the recording",
                      source, layer.layer, *negative, negative - layer.counts.begin()));
    }
  }
}

void check_options(const Trace& trace, const FitOptions& options) {
  if (!options.expert && options.num_ranks.empty()) {
    throw UsageError(fmt::format(
        "no level to fit (neither experts nor any number of ranks); choose --level expert, or --level rank "
        "with divisors of {} as --num-processes",
        trace.num_experts));
  }
  for (const int ranks : options.num_ranks) {
    if (ranks < 2 || ranks > trace.num_experts || trace.num_experts % ranks != 0) {
      throw UsageError(
          fmt::format("--num-processes {} does not fit {} experts (every rank holds as many experts, and a "
                      "law needs two ranks); choose a divisor from 2 to {}",
                      ranks, trace.num_experts, trace.num_experts));
    }
  }
  for (const int tokens : options.window_tokens) {
    if (tokens < 1) {
      throw UsageError(
          fmt::format("--windows {} is no batch size (tokens per rank); choose 1 or more", tokens));
    }
  }
  constexpr int fewest = 40, most = 100'000;
  if (options.bootstrap != 0 && (options.bootstrap < fewest || options.bootstrap > most)) {
    throw UsageError(fmt::format(
        "--bootstrap {} is out of range (a 95 % interval needs {} resamples, and more than {} take "
        "hours); choose a number between, or 0 for none",
        options.bootstrap, fewest, most));
  }
  if (options.placement) validate(*options.placement, trace.num_experts, "the placement");
}

}  // namespace

std::vector<double> level_loads(const Level& level, std::span<const std::int64_t> counts) {
  if (level.num_ranks == 0) return {counts.begin(), counts.end()};
  std::vector<double> loads(static_cast<std::size_t>(level.num_ranks), 0.0);
  const int experts_per_rank = level.num_experts / level.num_ranks;
  for (std::size_t expert = 0; expert < counts.size(); ++expert) {
    const int slot = level.placement ? level.placement->slot_of_expert[expert] : static_cast<int>(expert);
    loads[static_cast<std::size_t>(slot / experts_per_rank)] += static_cast<double>(counts[expert]);
  }
  return loads;
}

std::vector<std::int64_t> count_rows(const TraceLayer& layer, int num_experts, std::int64_t first,
                                     std::int64_t last) {
  std::vector<std::int64_t> counts(static_cast<std::size_t>(num_experts), 0);
  for (std::int64_t i = first * layer.topk; i < last * layer.topk; ++i) {
    const std::int32_t expert = layer.topk_idx[static_cast<std::size_t>(i)];
    if (expert >= 0) ++counts[static_cast<std::size_t>(expert)];
  }
  return counts;
}

void check(const Trace& trace, const FitOptions& options) {
  check_trace(trace);
  check_options(trace, options);
}

}  // namespace epskew::fit
