#include "report/consistency.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <vector>

#include "epskew/support/error.hpp"

namespace epskew {
namespace {

/// Speaks of one array of one round at a time.
class RoundCheck {
 public:
  RoundCheck(const std::string& source, const std::string& label) : source_(source), label_(label) {}

  void length(const std::string& what, std::size_t found, std::size_t wanted) const {
    if (found == wanted) return;
    throw UsageError(
        fmt::format("{} contradicts itself in round {} ({} has {} entries where {} belong); write it again "
                    "with bench --json",
                    source_, label_, what, found, wanted));
  }
  /// Counts and times are not negative.
  template <class T>
  void not_negative(const std::string& what, const std::vector<T>& values) const {
    const auto wrong = std::find_if(values.begin(), values.end(), [](T value) { return value < 0; });
    if (wrong == values.end()) return;
    throw UsageError(fmt::format(
        "{} contradicts itself in round {} ({} holds {}, which is below 0); write it again with bench --json",
        source_, label_, what, *wrong));
  }
  void index(const std::string& what, int found, std::size_t size) const {
    if (found >= 0 && static_cast<std::size_t>(found) < size) return;
    throw UsageError(
        fmt::format("{} contradicts itself in round {} ({} is {}, outside 0 to {}); write it again with "
                    "bench --json",
                    source_, label_, what, found, size - 1));
  }

 private:
  const std::string& source_;
  const std::string& label_;
};

void check_load(const RoutingLoad& load, std::size_t ranks, std::size_t experts, const RoundCheck& check) {
  check.length("load.rank.loads", load.rank.loads.size(), ranks);
  check.length("load.message.loads", load.message.loads.size(), ranks);
  check.length("load.expert.loads", load.expert.loads.size(), experts);
  check.length("load.selections", load.selections.size(), ranks * ranks);
  check.length("load.messages", load.messages.size(), ranks * ranks);
  check.not_negative("load.rank.loads", load.rank.loads);
  check.not_negative("load.message.loads", load.message.loads);
  check.not_negative("load.expert.loads", load.expert.loads);
  check.not_negative("load.selections", load.selections);
  check.not_negative("load.messages", load.messages);
  check.index("load.rank.hot", load.rank.hot, ranks);
}

void check_phase(const PhaseRecord& phase, std::size_t ranks, int passes, const RoundCheck& check) {
  check.length("a row of samples_us", static_cast<std::size_t>(phase.samples_us.num_ranks), ranks);
  check.index("the last of config.passes", passes - 1,
              static_cast<std::size_t>(phase.samples_us.iterations()));
  check.not_negative("samples_us", phase.samples_us.us);
  check.not_negative("times_slowest", phase.times_slowest);
  check.length("per_rank.mean", phase.per_rank.mean.size(), ranks);
  check.length("per_rank.min", phase.per_rank.min.size(), ranks);
  check.length("per_rank.max", phase.per_rank.max.size(), ranks);
  check.length("times_slowest", phase.times_slowest.size(), ranks);
}

}  // namespace

void check_consistent(const Record& record, const std::string& source) {
  const ConfigRecord& config = record.config;
  if (config.num_ranks < 1 || config.num_experts < 1) {
    throw UsageError(
        fmt::format("{} contradicts itself (a run has {} ranks and {} experts); write it again with bench "
                    "--json",
                    source, config.num_ranks, config.num_experts));
  }
  const auto ranks = static_cast<std::size_t>(config.num_ranks);
  std::set<std::string> labels;
  for (const RoundRecord& round : record.rounds) {
    if (!labels.insert(round.label).second) {
      throw UsageError(
          fmt::format("{} contradicts itself (two rounds are called {}); write it again with bench --json",
                      source, round.label));
    }
    const RoundCheck check(source, round.label);
    check_load(round.load, ranks, static_cast<std::size_t>(config.num_experts), check);
    for (const auto& phase : round.timing) {
      if (phase) check_phase(*phase, ranks, config.passes, check);
    }
    for (const auto& phase : round.kernel_timing) {
      if (phase) check_phase(*phase, ranks, 1, check);
    }
  }
}

}  // namespace epskew
