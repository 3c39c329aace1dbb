#include "epskew/measure/round.hpp"

#include <utility>

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

  template <class Step>
  void for_each_local(Step&& step) {
    const auto ranks = exchange_.local_ranks();
    for (int local = 0; local < static_cast<int>(ranks.size()); ++local) {
      step(local, ranks[static_cast<std::size_t>(local)]);
    }
  }

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
      for_each_local([&](int local, int rank) {
        const RankInput timed = random_.input(rank);
        exchange_.set_input(local, 0,
                            {std::span(zeros_).first(timed.x.size()), timed.topk_idx,
                             std::span(no_weights_).first(timed.topk_weights.size())});
      });
      exchange_.dispatch(0);
      exchange_.combine(0);
    }
    set_timed_input();
  }

  void set_timed_input() {
    for_each_local([&](int local, int rank) { exchange_.set_input(local, 0, random_.input(rank)); });
  }

  // A later iteration that does nothing leaves what the first one made, which is right as long as nothing
  // changes. So the last ones find other results of the experts, without a set_input that might wake them.
  void change_results() {
    exchange_.align();  // others may still be reading the last results
    random_.use_experts(1);
    compute();
  }

  void compute() {
    for_each_local([&](int local, int rank) {
      const DispatchOutput output = exchange_.dispatch_output(local, 0);
      // Rows of a malformed output cannot be computed on.
      if (note(random_.check_counts(rank, output))) return;
      random_.apply_experts(rank, output, exchange_.expert_output(local, 0));
      exchange_.commit_expert_output(local, 0);
    });
  }

  void check_timed() {
    for_each_local([&](int local, int rank) {
      if (timed_) return;
      note(random_.check_dispatch(rank, exchange_.dispatch_output(local, 0)));
      note(random_.check_combine(rank, exchange_.combine_output(local, 0)));
    });
  }

  // Only notes: a rank that stopped here would leave the others waiting for it.
  bool note(std::optional<Mismatch> mismatch) {
    const bool wrong = mismatch.has_value();
    if (wrong && !timed_) timed_ = std::move(mismatch);
    return wrong;
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
