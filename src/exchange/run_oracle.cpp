#include "epskew/exchange/local_oracle.hpp"

namespace epskew {
namespace {

/// Keeps the first mismatch and lets the phases go on.
class Verdict {
 public:
  void add(LocalMismatches mismatches) {
    for (std::optional<Mismatch>& mismatch : mismatches) {
      if (!first_ && mismatch) first_ = std::move(mismatch);
    }
  }
  std::optional<Mismatch> first() const { return first_; }

 private:
  std::optional<Mismatch> first_;
};

void check_and_compute(Exchange& exchange, Oracle& oracles, int batch, Verdict& verdict) {
  const Oracle& oracle = oracles.of_batch(batch);
  LocalMismatches wrong = check_dispatches(exchange, batch, oracle);
  // Where the dispatch was wrong the combine then shows nothing new.
  apply_experts(exchange, batch, oracle, wrong);
  verdict.add(std::move(wrong));
}

void check_combined(Exchange& exchange, Oracle& oracles, int batch, Verdict& verdict) {
  verdict.add(check_combines(exchange, batch, oracles.of_batch(batch)));
}

void set_fresh_inputs(Exchange& exchange, Oracle& oracle) {
  oracle.renew();
  for (int batch = 0; batch < exchange.options().micro_batches; ++batch) {
    set_inputs(exchange, batch, oracle.of_batch(batch));
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
