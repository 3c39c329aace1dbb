#include "epskew/measure/round.hpp"

#include <utility>

#include "epskew/exchange/local_oracle.hpp"
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
        random_(table, exchange.shape(), exchange.options(), OracleData::random, plan.seed) {
    const auto tokens = static_cast<std::size_t>(exchange.shape().max_tokens);
    zeros_.resize(tokens * static_cast<std::size_t>(exchange.shape().hidden));
    no_weights_.resize(tokens * static_cast<std::size_t>(exchange.shape().topk));
  }

  RankReport run() {
    if (plan_.first_visit) check(exact_, "before the timing");
    check(random_, "before the timing");
    TimingHooks hooks;
    if (exchange_.holds_data()) {
      hooks.before_mode = [this] { lay_out_fresh_data(); };
      hooks.before_last = [this] { change_results(); };
      hooks.after_mode = [this] { check_timed(); };
    }
    RankReport report = time_modes(exchange_, plan_, hooks);
    refuse(timed_, "in the timing");
    check(random_, "after the timing");
    if (plan_.last_visit) check(exact_, "after the timing");
    return report;
  }

 private:
  void check(Oracle& oracle, const char* when) { refuse(run_oracle(exchange_, oracle), when); }

  // Timed iterations do not run the experts, so the results of what is timed must lie in every buffer set
  // (two at most). Rows and combined tokens must not: two operations on zeros with weights of zero take their
  // place, and every mode has data of its own. What is right after the timing was made in it.
  void lay_out_fresh_data() {
    random_.renew();
    for (int set = 0; set < 2; ++set) {
      set_timed_input();
      exchange_.dispatch(0);
      compute();
      exchange_.combine(0);
    }
    for (int set = 0; set < 2; ++set) {
      set_zero_input();
      exchange_.dispatch(0);
      exchange_.combine(0);
    }
    set_timed_input();
  }

  void set_zero_input() {
    const auto ranks = exchange_.local_ranks();
    for (int local = 0; local < static_cast<int>(ranks.size()); ++local) {
      const RankInput timed = random_.input(ranks[static_cast<std::size_t>(local)]);
      exchange_.set_input(local, 0,
                          {std::span(zeros_).first(timed.x.size()), timed.topk_idx,
                           std::span(no_weights_).first(timed.topk_weights.size())});
    }
  }

  void set_timed_input() { set_inputs(exchange_, 0, random_); }

  // A later iteration that does nothing leaves what the first one made, which is right as long as nothing
  // changes. So the last ones find other results of the experts, without a set_input that might wake them.
  void change_results() {
    exchange_.align();  // others may still be reading the last results
    random_.use_experts(1);
    compute();
  }

  void compute() {
    const LocalMismatches malformed = check_counts(exchange_, 0, random_);
    note(malformed);
    apply_experts(exchange_, 0, random_, malformed);
  }

  void check_timed() {
    if (timed_) return;
    note(check_dispatches(exchange_, 0, random_));
    note(check_combines(exchange_, 0, random_));
  }

  // Only notes: a rank that stopped here would leave the others waiting for it.
  void note(const LocalMismatches& mismatches) {
    for (const auto& mismatch : mismatches) {
      if (!timed_ && mismatch) timed_ = mismatch;
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
  std::vector<BFloat16> zeros_;    ///< [M][H], borrowed by every local rank's input
  std::vector<float> no_weights_;  ///< [M][K]
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
