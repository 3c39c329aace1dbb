#include "epskew/measure/round.hpp"

#include "epskew/support/error.hpp"
#include "measure/rank_report.hpp"
#include "measure/timing.hpp"

namespace epskew {
namespace {

/// One process's part of a round.
class RankRound {
 public:
  RankRound(Exchange& exchange, const RoutingTable& table, const RoundPlan& plan)
      : exchange_(exchange),
        plan_(plan),
        exact_(table, exchange.shape(), exchange.options(), OracleData::exact, plan.seed),
        random_(table, exchange.shape(), exchange.options(), OracleData::random, plan.seed) {}

  RankReport run() {
    if (plan_.first_visit) check(exact_, "before the timing");
    // The random data stays in place: it is what is timed.
    check(random_, "before the timing");
    RankReport report = time_modes(exchange_, plan_, [this](TimingMode) { check_timed_dispatch(); });
    refuse(timed_, "in the timing");
    check(random_, "after the timing");
    if (plan_.last_visit) check(exact_, "after the timing");
    return report;
  }

 private:
  void check(Oracle& oracle, const char* when) { refuse(run_oracle(exchange_, oracle), when); }

  // Only looks: a rank that stopped here would leave the others waiting for it.
  void check_timed_dispatch() {
    if (!exchange_.holds_data()) return;
    const auto ranks = exchange_.local_ranks();
    for (int local = 0; !timed_ && local < static_cast<int>(ranks.size()); ++local) {
      timed_ =
          random_.check_dispatch(ranks[static_cast<std::size_t>(local)], exchange_.dispatch_output(local, 0));
    }
  }

  void refuse(const std::optional<Mismatch>& mismatch, const char* when) const {
    if (mismatch) throw WrongResult("round " + plan_.label + ", " + when + ": " + to_string(*mismatch));
  }

  Exchange& exchange_;
  const RoundPlan& plan_;
  Oracle exact_;
  Oracle random_;
  std::optional<Mismatch> timed_;
};

}  // namespace

void append_visit(RoundResult& round, RoundResult visit) {
  const auto append = [](SampleMatrix& to, const SampleMatrix& more) {
    to.num_ranks = more.num_ranks;
    to.us.insert(to.us.end(), more.us.begin(), more.us.end());
  };
  for (std::size_t phase = 0; phase < round.phases.size(); ++phase) {
    append(round.phases[phase], visit.phases[phase]);
    append(round.kernels[phase], visit.kernels[phase]);
  }
  append(round.misalignment, visit.misalignment);
  round.memory = std::move(visit.memory);
  round.flush_bytes = visit.flush_bytes;
}

RoundResult run_round(World& world, const RoutingTable& table, const RoundPlan& plan) {
  const auto reports =
      world.run([&](Exchange& exchange) { return encode(RankRound(exchange, table, plan).run()); });
  if (!world.is_root()) return {};
  std::vector<RankReport> decoded;
  for (const std::string& report : reports) decoded.push_back(decode(report));
  return merge(decoded, table.num_ranks());
}

}  // namespace epskew
