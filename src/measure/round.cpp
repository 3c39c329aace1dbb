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
    check("before the timing");
    // The random data stays in place: it is what is timed.
    RankReport report = time_modes(exchange_, plan_, [this](TimingMode) { check_timed_dispatch(); });
    refuse(timed_, "in the timing");
    check("after the timing");
    return report;
  }

 private:
  void check(const char* when) {
    refuse(run_oracle(exchange_, exact_), when);
    refuse(run_oracle(exchange_, random_), when);
  }

  // Only looks: a rank that stopped here would leave the others waiting for it.
  void check_timed_dispatch() {
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

RoundResult run_round(World& world, const RoutingTable& table, const RoundPlan& plan) {
  const auto reports =
      world.run([&](Exchange& exchange) { return encode(RankRound(exchange, table, plan).run()); });
  if (!world.is_root()) return {};
  std::vector<RankReport> decoded;
  for (const std::string& report : reports) decoded.push_back(decode(report));
  return merge(decoded, table.num_ranks());
}

}  // namespace epskew
