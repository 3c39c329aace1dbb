#include "epskew/exchange/shrink.hpp"

#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <set>
#include <string>
#include <thread>

#include "epskew/exchange/oracle.hpp"
#include "epskew/support/error.hpp"

namespace epskew {
namespace {

void check_plan(const std::vector<PlannedLoss>& losses, const ExchangeShape& shape,
                const ExchangeOptions& options) {
  if (!options.shrink) {
    throw UsageError(
        "--shrink-test needs a world that goes on without lost ranks; make it with the shrink option");
  }
  std::set<int> ranks;
  for (const PlannedLoss& loss : losses) {
    if (loss.rank < 0 || loss.rank >= shape.num_ranks || !ranks.insert(loss.rank).second) {
      throw UsageError(
          fmt::format("--shrink-test cannot lose rank {} (there are {}, each can be lost once); choose "
                      "another",
                      loss.rank, shape.num_ranks));
    }
  }
  if (static_cast<int>(ranks.size()) >= shape.num_ranks) {
    throw UsageError(
        "--shrink-test would lose every rank (nobody would be left to check); plan fewer losses");
  }
}

/// The ranks of one process.
class Survivors {
 public:
  Survivors(Exchange& exchange, Oracle& oracle, const std::vector<PlannedLoss>& losses)
      : exchange_(exchange),
        oracle_(oracle),
        losses_(losses),
        ranks_(exchange.local_ranks()),
        alive_(ranks_.size(), true) {}

  void run_operation(int operation) {
    set_fresh_inputs();
    fail_if_planned(operation, LossPoint::dispatch);
    exchange_.dispatch(0);
    for_each_alive([&](int local, int rank) {
      const DispatchOutput output = exchange_.dispatch_output(local, 0);
      require(operation, oracle_.check_dispatch(rank, output));
      oracle_.apply_experts(rank, output, exchange_.expert_output(local, 0));
      exchange_.commit_expert_output(local, 0);
    });
    fail_if_planned(operation, LossPoint::between);
    exchange_.combine_send(0);
    fail_if_planned(operation, LossPoint::combine);
    exchange_.combine_recv(0);
    for_each_alive([&](int local, int rank) {
      require(operation, oracle_.check_combine(rank, exchange_.combine_output(local, 0)));
    });
  }
  int count() const { return static_cast<int>(std::count(alive_.begin(), alive_.end(), true)); }

 private:
  /// Every operation has data of its own: what an earlier one left behind is wrong.
  void set_fresh_inputs() {
    oracle_.renew();
    for (std::size_t local = 0; local < ranks_.size(); ++local) {
      if (alive_[local]) exchange_.set_input(static_cast<int>(local), 0, oracle_.input(ranks_[local]));
    }
  }
  template <class Visit>
  void for_each_alive(Visit visit) {
    for (std::size_t local = 0; local < ranks_.size(); ++local) {
      if (!alive_[local]) continue;
      oracle_.leave_out(exchange_.lost_ranks(static_cast<int>(local), 0));
      visit(static_cast<int>(local), ranks_[local]);
    }
  }
  void fail_if_planned(int operation, LossPoint point) {
    for (const PlannedLoss& loss : losses_) {
      const auto found = std::find(ranks_.begin(), ranks_.end(), loss.rank);
      if (found != ranks_.end() && loss.operation == operation && loss.point == point)
        fail(static_cast<std::size_t>(found - ranks_.begin()), loss);
    }
  }
  /// A process of one rank really dies or hangs; a rank that shares its process only takes no part any more.
  void fail(std::size_t local, const PlannedLoss& loss) {
    if (ranks_.size() == 1) {
      end_process(loss);
      return;
    }
    exchange_.stop_rank(static_cast<int>(local));
    alive_[local] = false;
  }
  static void end_process(const PlannedLoss& loss) {
    const int signal = loss.stop ? SIGSTOP : SIGKILL;
    if (loss.after_us == 0) {
      raise(signal);
      return;
    }
    std::thread([=] {
      std::this_thread::sleep_for(std::chrono::microseconds(loss.after_us));
      kill(getpid(), signal);
    }).detach();
  }
  static void require(int operation, const std::optional<Mismatch>& mismatch) {
    if (mismatch) throw WrongResult(fmt::format("operation {}: {}", operation, to_string(*mismatch)));
  }

  Exchange& exchange_;
  Oracle& oracle_;
  const std::vector<PlannedLoss>& losses_;
  std::span<const int> ranks_;
  std::vector<bool> alive_;
};

}  // namespace

std::vector<PlannedLoss> default_losses(int num_ranks) {
  const std::vector<PlannedLoss> all = {{1, 1, LossPoint::dispatch, false},
                                        {3, 3, LossPoint::combine, false},
                                        {5, 5, LossPoint::between, false},
                                        {6, 7, LossPoint::dispatch, true}};
  std::vector<PlannedLoss> fitting;
  for (const PlannedLoss& loss : all) {
    if (loss.rank < num_ranks && static_cast<int>(fitting.size()) + 2 < num_ranks) fitting.push_back(loss);
  }
  return fitting;
}

ShrinkResult run_shrink_test(World& world, const RoutingTable& table, const ExchangeShape& shape,
                             const ExchangeOptions& options, const std::vector<PlannedLoss>& losses,
                             std::uint64_t seed) {
  check_plan(losses, shape, options);
  int operations = 2;
  for (const PlannedLoss& loss : losses) operations = std::max(operations, loss.operation + 3);
  const auto reports = world.run([&](Exchange& exchange) {
    Oracle oracle(table, shape, options, OracleData::exact, seed);
    Survivors survivors(exchange, oracle, losses);
    for (int operation = 0; operation < operations; ++operation) survivors.run_operation(operation);
    return std::to_string(operations * survivors.count());
  });
  ShrinkResult result;
  result.lost = world.lost_ranks();
  for (const std::string& report : reports) {
    if (!report.empty()) result.checked_operations += std::stoi(report);
  }
  return result;
}

}  // namespace epskew
