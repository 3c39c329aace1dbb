// The default measurement against ranks that sleep for a known time. Sleeping is never shorter than asked
// for, so bounds below are exact; bounds above would depend on the machine and are left to comparisons by
// factors of ten.

#include <gtest/gtest.h>

#include <algorithm>
#include <barrier>
#include <chrono>
#include <mutex>
#include <thread>
#include <vector>

#include "epskew/report/round_record.hpp"
#include "measure/rank_report.hpp"
#include "measure/timing.hpp"

namespace epskew {
namespace {

constexpr int num_ranks = 3;
constexpr int slow_rank = 1;
constexpr int late_rank = 2;
constexpr auto slow = std::chrono::milliseconds(40);
constexpr auto late = std::chrono::milliseconds(20);

struct SharedClock {
  std::barrier<> barrier{num_ranks};
  std::mutex mutex;
  std::int64_t first_ns = 0;
};

/// Receives nothing, slowly: the slow rank sleeps in dispatch_recv, the late rank starts late.
class Sleeper final : public Exchange {
 public:
  Sleeper(SharedClock& shared, int rank) : shared_(shared), rank_(rank), ranks_{rank} {}

  const ExchangeShape& shape() const override { return shape_; }
  const ExchangeOptions& options() const override { return options_; }
  std::span<const int> local_ranks() const override { return ranks_; }
  void set_input(int, int, const RankInput&) override {}
  void dispatch_send(int) override {}
  void dispatch_recv(int) override {
    if (rank_ == slow_rank) std::this_thread::sleep_for(slow);
  }
  void combine_send(int) override {}
  void combine_recv(int) override {}
  DispatchOutput dispatch_output(int, int) override { return {}; }
  std::span<BFloat16> expert_output(int, int) override { return {}; }
  std::span<const BFloat16> combine_output(int, int) override { return {}; }
  void align() override {
    shared_.barrier.arrive_and_wait();
    if (rank_ == late_rank) std::this_thread::sleep_for(late);
  }
  MemoryUse memory(int) const override { return {2, 1}; }

 protected:
  std::int64_t earliest(std::int64_t mine_ns) override {
    if (rank_ == 0) shared_.first_ns = mine_ns;
    shared_.barrier.arrive_and_wait();
    {
      const std::lock_guard lock(shared_.mutex);
      shared_.first_ns = std::min(shared_.first_ns, mine_ns);
    }
    shared_.barrier.arrive_and_wait();
    return shared_.first_ns;
  }

 private:
  SharedClock& shared_;
  int rank_;
  std::vector<int> ranks_;
  ExchangeShape shape_{num_ranks, 3, 1, 128, 1};
  ExchangeOptions options_;
};

RoundResult measure_sleepers(int iterations) {
  SharedClock shared;
  RoundPlan plan;
  plan.warmup = 1;
  plan.iterations = iterations;
  plan.flush_cache = false;
  std::vector<RankReport> reports(num_ranks);
  std::vector<std::thread> ranks;
  for (int rank = 0; rank < num_ranks; ++rank) {
    ranks.emplace_back([&, rank] {
      Sleeper sleeper(shared, rank);
      reports[static_cast<std::size_t>(rank)] = time_modes(sleeper, plan, {});
    });
  }
  for (std::thread& rank : ranks) rank.join();
  return merge(reports, num_ranks);
}

TEST(RealClock, FindsTheInjectedDelayInItsPhaseAndOnItsRank) {
  const RoundResult result = measure_sleepers(4);

  const auto reduced = [&](Phase phase) {
    return *reduce_phase(result.phases[static_cast<std::size_t>(phase)], slow_rank);
  };
  for (const Phase phase : {Phase::dispatch_recv, Phase::dispatch, Phase::dispatch_combine}) {
    const PhaseRecord timed = reduced(phase);
    EXPECT_GE(timed.per_rank.min.at(slow_rank), 40e3) << name_of(phase);
    EXPECT_GE(*timed.slowest_rank.min, 40e3);
    EXPECT_EQ(timed.times_slowest.at(slow_rank), 4);
  }
  EXPECT_LT(reduced(Phase::dispatch_send).per_rank.min.at(slow_rank), 4e3);
  EXPECT_LT(reduced(Phase::combine).per_rank.min.at(slow_rank), 4e3);
  EXPECT_LT(reduced(Phase::dispatch_recv).per_rank.min.at(0), 4e3);
}

TEST(RealClock, RecordsWhoStartsLate) {
  const RoundResult result = measure_sleepers(2);

  const SampleMatrix& starts = result.misalignment;
  ASSERT_EQ(starts.iterations(), 2 * static_cast<int>(all_timing_modes.size()));
  const auto of_late = times_of_rank(starts, late_rank);
  const auto of_first = times_of_rank(starts, 0);
  // The others may be late too on a busy machine, by less than the injected delay in at least one iteration.
  EXPECT_GE(*std::max_element(of_late.begin(), of_late.end()), 10e3);
  EXPECT_LT(*std::min_element(of_first.begin(), of_first.end()), 10e3);
  for (const double us : starts.us) EXPECT_GE(us, 0);
}

}  // namespace
}  // namespace epskew
