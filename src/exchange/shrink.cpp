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

/// One rank's run.
class Survivor {
 public:
  Survivor(Exchange& exchange, Oracle& oracle, const std::vector<PlannedLoss>& losses)
      : exchange_(exchange), oracle_(oracle), losses_(losses), rank_(exchange.local_ranks()[0]) {}

  void run_operation(int operation) {
    fail_if_planned(operation, LossPoint::dispatch);
    exchange_.dispatch(0);
    oracle_.leave_out(exchange_.lost_ranks(0, 0));
    const DispatchOutput output = exchange_.dispatch_output(0, 0);
    require(operation, oracle_.check_dispatch(rank_, output));
    oracle_.apply_experts(rank_, output, exchange_.expert_output(0, 0));
    exchange_.commit_expert_output(0, 0);
    fail_if_planned(operation, LossPoint::between);
    exchange_.combine_send(0);
    fail_if_planned(operation, LossPoint::combine);
    exchange_.combine_recv(0);
    oracle_.leave_out(exchange_.lost_ranks(0, 0));
    require(operation, oracle_.check_combine(rank_, exchange_.combine_output(0, 0)));
  }

 private:
  void fail_if_planned(int operation, LossPoint point) const {
    for (const PlannedLoss& loss : losses_) {
      if (loss.rank == rank_ && loss.operation == operation && loss.point == point) {
        fail(loss);
      }
    }
  }
  static void fail(const PlannedLoss& loss) {
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
  int rank_;
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
    if (exchange.local_ranks().size() != 1) {
      throw UsageError(
          "--shrink-test needs one process per rank (this backend hosts several in one); use --backend cpu");
    }
    Oracle oracle(table, shape, options, OracleData::exact, seed);
    exchange.set_input(0, 0, oracle.input(exchange.local_ranks()[0]));
    Survivor survivor(exchange, oracle, losses);
    for (int operation = 0; operation < operations; ++operation) survivor.run_operation(operation);
    return std::to_string(operations);
  });
  ShrinkResult result;
  result.lost = world.lost_ranks();
  for (const std::string& report : reports) {
    if (!report.empty()) result.checked_operations += std::stoi(report);
  }
  return result;
}

}  // namespace epskew
