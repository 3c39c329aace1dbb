#include "endurance.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <string_view>
#include <vector>

#include "epskew/exchange/pressure.hpp"
#include "epskew/exchange/shrink.hpp"
#include "epskew/support/error.hpp"

namespace epskew::app {
namespace {

std::string_view name_of(LossPoint point) {
  switch (point) {
    case LossPoint::dispatch:
      return "before dispatch_send";
    case LossPoint::between:
      return "between dispatch and combine";
    case LossPoint::combine:
      break;
  }
  return "between combine_send and combine_recv";
}

void run_pressure(const Backend& backend, const EnduranceFlags& flags, const EndurancePlan& plan,
                  std::FILE* text) {
  const auto world = backend.make_world(plan.shape, plan.options);
  PressurePlan pressure;
  pressure.first_seed = plan.seed;
  pressure.seconds = flags.pressure_seconds;
  fmt::print(
      text, "pressure test: {} operations a seed, each checked by the oracle or by its hash, {}\n",
      pressure.repeats,
      flags.pressure_seconds > 0 ? fmt::format("for {:g} s", flags.pressure_seconds) : "until interrupted");
  const auto result = run_pressure_test(
      *world, plan.options, plan.make_table, pressure, [text](std::uint64_t seed, std::uint64_t hash) {
        fmt::print(text, "seed {:<6} hash {:016x}  identical over all repeats\n", seed, hash);
        std::fflush(text);
      });
  if (!world->is_root()) return;
  fmt::print(text, "\npassed: {} seeds, {} operations a rank\n", result.seeds, result.operations);
}

void describe(const std::vector<PlannedLoss>& losses, const EndurancePlan& plan, std::FILE* text) {
  fmt::print(text,
             "shrink test: {} of {} ranks are lost on the way; a wait gives up after {} ms (--timeout)\n",
             losses.size(), plan.shape.num_ranks, plan.options.timeout.count());
  for (const PlannedLoss& loss : losses) {
    fmt::print(text, "  planned: rank {} {} in operation {}, {}\n", loss.rank,
               loss.stop ? "stops (SIGSTOP)" : "dies (SIGKILL)", loss.operation, name_of(loss.point));
  }
  std::fflush(text);
}

/// A survivor that was too slow is no wrong result.
void require_planned(const std::vector<LostRank>& lost, const std::vector<PlannedLoss>& losses,
                     std::chrono::milliseconds timeout) {
  std::vector<int> unplanned;
  for (const LostRank& entry : lost) {
    const auto planned = [&](const PlannedLoss& loss) { return loss.rank == entry.rank; };
    if (std::none_of(losses.begin(), losses.end(), planned)) unplanned.push_back(entry.rank);
  }
  if (!unplanned.empty()) {
    throw RankLost(fmt::format(
        "rank {} was lost without being planned to (every result was right, but a wait lasted longer than "
        "{} ms); raise --timeout, or look for what holds this machine up",
        fmt::join(unplanned, ", "), timeout.count()));
  }
  if (lost.size() != losses.size()) {
    throw WrongResult(fmt::format("{} ranks were to be lost, {} were", losses.size(), lost.size()));
  }
}

void run_shrink(const Backend& backend, EndurancePlan plan, std::FILE* text) {
  const auto losses = default_losses(plan.shape.num_ranks);
  if (losses.empty()) {
    throw UsageError(
        fmt::format("--shrink-test needs at least 3 ranks (two must survive, {} were asked for); raise "
                    "--num-processes",
                    plan.shape.num_ranks));
  }
  plan.options.shrink = true;
  const auto world = backend.make_world(plan.shape, plan.options);
  describe(losses, plan, text);
  const auto result =
      run_shrink_test(*world, plan.make_table(plan.seed), plan.shape, plan.options, losses, plan.seed);
  if (!world->is_root()) return;
  fmt::print(text, "\nlost, in this order\n");
  for (const LostRank& lost : result.lost) {
    fmt::print(text, "  rank {} {} after {:.3f} s in {}; in vain waited: {}\n", lost.rank, lost.how,
               lost.seconds, lost.where,
               lost.waiters.empty() ? "nobody" : fmt::format("rank {}", fmt::join(lost.waiters, ", ")));
  }
  require_planned(result.lost, losses, plan.options.timeout);
  fmt::print(text, "\npassed: {} operations of the survivors, every one right for the ranks that were left\n",
             result.checked_operations);
}

}  // namespace

void add_endurance_flags(CLI::App& command, EnduranceFlags& flags) {
  command.add_flag("--pressure-test", flags.pressure,
                   "no timing: seed after seed, results must be right and identical over repeats");
  command.add_option("--pressure-seconds", flags.pressure_seconds,
                     "begin no new seed of the pressure test after so long [for ever]");
  command.add_flag("--shrink-test", flags.shrink,
                   "no timing: ranks are killed and stopped, the survivors' results must be right");
}

void check(const EnduranceFlags& flags) {
  if (flags.pressure && flags.shrink) {
    throw UsageError("--pressure-test and --shrink-test are both given (each is a run of its own); drop one");
  }
  if (flags.pressure_seconds != 0 && !flags.pressure) {
    throw UsageError(
        "--pressure-seconds has no meaning without --pressure-test (nothing else lasts); add it or drop "
        "this");
  }
  if (!(flags.pressure_seconds >= 0)) {
    throw UsageError(fmt::format(
        "--pressure-seconds {:g} is no duration (it must be 0 or more); choose seconds, or leave it "
        "out to run until interrupted",
        flags.pressure_seconds));
  }
}

void run_endurance(const Backend& backend, const EnduranceFlags& flags, const EndurancePlan& plan,
                   std::FILE* text) {
  if (flags.pressure) {
    run_pressure(backend, flags, plan, text);
  } else {
    run_shrink(backend, plan, text);
  }
}

}  // namespace epskew::app
