#include "measure/timing.hpp"

#include <optional>

#include "measure/cache_flush.hpp"

namespace epskew {
namespace {

std::optional<CacheFlush> make_flush(const Exchange& exchange, const RoundPlan& plan) {
  if (!plan.flush_cache || exchange.own_flush_bytes() > 0) return std::nullopt;
  const double share = static_cast<double>(exchange.local_ranks().size()) / exchange.shape().num_ranks;
  return CacheFlush(last_level_cache_bytes(), share);
}

void call(const std::function<void()>& hook) {
  if (hook) hook();
}

}  // namespace

RankReport time_modes(Exchange& exchange, const RoundPlan& plan, const TimingHooks& hooks) {
  const auto ranks = exchange.local_ranks();
  RankReport report;
  report.ranks.assign(ranks.begin(), ranks.end());
  auto flush = make_flush(exchange, plan);
  report.flush_bytes = flush ? flush->bytes() : exchange.own_flush_bytes();
  for (std::size_t mode = 0; mode < all_timing_modes.size(); ++mode) {
    call(hooks.before_mode);
    // The last ones are timed like the others but count for nothing: what is called before them has been in
    // the caches.
    const int counted = plan.iterations;
    const int more = hooks.before_last ? 2 : 0;
    for (int i = -plan.warmup; i < counted + more; ++i) {
      if (i >= counted) hooks.before_last();
      std::vector<IterationSample> samples(ranks.size());
      if (flush) flush->flush();
      exchange.measure(all_timing_modes[mode], samples);
      if (i >= 0 && i < counted)
        report.samples[mode].insert(report.samples[mode].end(), samples.begin(), samples.end());
    }
    call(hooks.after_mode);
  }
  for (int local = 0; local < static_cast<int>(ranks.size()); ++local)
    report.memory.push_back(exchange.memory(local));
  return report;
}

}  // namespace epskew
