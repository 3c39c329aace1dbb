#include "epskew/exchange/oracle.hpp"

namespace epskew {
namespace {

/// Keeps the first mismatch and lets the phases go on.
class Verdict {
 public:
  void add(std::optional<Mismatch> mismatch) {
    if (!first_ && mismatch) first_ = std::move(mismatch);
  }
  std::optional<Mismatch> first() const { return first_; }

 private:
  std::optional<Mismatch> first_;
};

void check_and_compute(Exchange& exchange, Oracle& oracles, int batch, Verdict& verdict) {
  const Oracle& oracle = oracles.of_batch(batch);
  const auto ranks = exchange.local_ranks();
  for (int local = 0; local < static_cast<int>(ranks.size()); ++local) {
    const int rank = ranks[static_cast<std::size_t>(local)];
    const DispatchOutput output = exchange.dispatch_output(local, batch);
    auto wrong = oracle.check_dispatch(rank, output);
    // Rows of a malformed output cannot be computed on; the combine then shows nothing new.
    if (!wrong) {
      oracle.apply_experts(rank, output, exchange.expert_output(local, batch));
      exchange.commit_expert_output(local, batch);
    }
    verdict.add(std::move(wrong));
  }
}

void check_combined(Exchange& exchange, Oracle& oracles, int batch, Verdict& verdict) {
  const Oracle& oracle = oracles.of_batch(batch);
  const auto ranks = exchange.local_ranks();
  for (int local = 0; local < static_cast<int>(ranks.size()); ++local) {
    verdict.add(
        oracle.check_combine(ranks[static_cast<std::size_t>(local)], exchange.combine_output(local, batch)));
  }
}

void set_fresh_inputs(Exchange& exchange, Oracle& oracle) {
  oracle.renew();
  const auto ranks = exchange.local_ranks();
  for (int batch = 0; batch < exchange.options().micro_batches; ++batch) {
    for (int local = 0; local < static_cast<int>(ranks.size()); ++local) {
      exchange.set_input(local, batch, oracle.of_batch(batch).input(ranks[static_cast<std::size_t>(local)]));
    }
  }
}

}  // namespace

std::optional<Mismatch> run_oracle(Exchange& exchange, Oracle& oracle) {
  Verdict verdict;
  oracle.accept(exchange.combine_rounding());
  const int batches = exchange.options().micro_batches;
  set_fresh_inputs(exchange, oracle);
  if (!exchange.holds_data()) return std::nullopt;  // the inputs are what a round is timed on
  for (int batch = 0; batch < batches; ++batch) exchange.dispatch_send(batch);
  for (int batch = 0; batch < batches; ++batch) {
    exchange.dispatch_recv(batch);
    check_and_compute(exchange, oracle, batch, verdict);
    exchange.combine_send(batch);
  }
  for (int batch = 0; batch < batches; ++batch) {
    exchange.combine_recv(batch);
    check_combined(exchange, oracle, batch, verdict);
  }
  set_fresh_inputs(exchange, oracle);
  for (int batch = 0; batch < batches; ++batch) {
    exchange.dispatch(batch);
    check_and_compute(exchange, oracle, batch, verdict);
    exchange.combine(batch);
    check_combined(exchange, oracle, batch, verdict);
  }
  return verdict.first();
}

}  // namespace epskew
