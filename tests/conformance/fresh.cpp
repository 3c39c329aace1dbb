#include "conformance/fresh.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "conformance/tables.hpp"
#include "epskew/exchange/oracle.hpp"
#include "epskew/support/random.hpp"

namespace epskew::testing {
namespace {

constexpr int experts_per_rank = 4;
constexpr int most_tokens = 12;

std::uint64_t seed_of(const FreshPlan& plan, int operation, int batch) {
  return plan.seed + 8 * static_cast<std::uint64_t>(operation) + static_cast<std::uint64_t>(batch) + 1;
}

RoutingTable table_of(const FreshPlan& plan, int operation, int batch) {
  const ExchangeShape shape = shape_of(plan);
  RandomStream random(seed_of(plan, operation, batch), 3);
  std::vector<std::int32_t> tokens;
  for (int rank = 0; rank < plan.num_ranks; ++rank) {
    tokens.push_back(static_cast<std::int32_t>(random.below(most_tokens + 1)));
  }
  const Destinations destinations = operation % 3 == 2 ? Destinations::all_to_one : Destinations::uniform;
  return make_table(
      {tokens, shape.num_experts, shape.topk, destinations, 8, 0, seed_of(plan, operation, batch)});
}

/// One operation of every micro-batch.
class FreshOperation {
 public:
  FreshOperation(Exchange& exchange, const FreshPlan& plan, int operation)
      : exchange_(exchange), operation_(operation) {
    const OracleData data = operation % 2 == 0 ? OracleData::exact : OracleData::random;
    for (int batch = 0; batch < exchange.options().micro_batches; ++batch) {
      tables_.push_back(std::make_unique<RoutingTable>(table_of(plan, operation, batch)));
      oracles_.emplace_back(*tables_.back(), exchange.shape(), exchange.options(), data,
                            seed_of(plan, operation, batch));
      oracles_.back().accept(exchange.combine_rounding());
    }
  }

  /// The phases of all micro-batches in flight at once; the receiving order is turned round every time.
  std::string run_split() {
    std::vector<int> order(tables_.size());
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = static_cast<int>(i);
    for (const int batch : order) {
      set_inputs(batch);
      exchange_.dispatch_send(batch);
    }
    if (operation_ % 2 != 0) std::reverse(order.begin(), order.end());
    for (const int batch : order) {
      exchange_.dispatch_recv(batch);
      check_and_compute(batch);
      exchange_.combine_send(batch);
    }
    for (const int batch : order) {
      exchange_.combine_recv(batch);
      check_combined(batch);
    }
    return found_;
  }

  std::string run_fused() {
    for (int batch = 0; batch < static_cast<int>(tables_.size()); ++batch) {
      set_inputs(batch);
      exchange_.dispatch(batch);
      check_and_compute(batch);
      exchange_.combine(batch);
      check_combined(batch);
    }
    return found_;
  }

 private:
  Oracle& oracle(int batch) { return oracles_[static_cast<std::size_t>(batch)]; }
  template <class Step>
  void for_each_local(Step&& step) {
    const auto ranks = exchange_.local_ranks();
    for (int local = 0; local < static_cast<int>(ranks.size()); ++local) {
      step(local, ranks[static_cast<std::size_t>(local)]);
    }
  }
  void set_inputs(int batch) {
    for_each_local(
        [&](int local, int rank) { exchange_.set_input(local, batch, oracle(batch).input(rank)); });
  }
  void check_and_compute(int batch) {
    for_each_local([&](int local, int rank) {
      const DispatchOutput output = exchange_.dispatch_output(local, batch);
      const auto mismatch = oracle(batch).check_dispatch(rank, output);
      if (!mismatch) {
        oracle(batch).apply_experts(rank, output, exchange_.expert_output(local, batch));
        exchange_.commit_expert_output(local, batch);
      }
      note(batch, mismatch);
    });
  }
  void check_combined(int batch) {
    for_each_local([&](int local, int rank) {
      note(batch, oracle(batch).check_combine(rank, exchange_.combine_output(local, batch)));
    });
  }
  void note(int batch, const std::optional<Mismatch>& mismatch) {
    if (mismatch && found_.empty()) {
      found_ = fmt::format("operation {} of micro-batch {}: {}", operation_, batch, to_string(*mismatch));
    }
  }

  Exchange& exchange_;
  int operation_;
  std::vector<std::unique_ptr<RoutingTable>> tables_;
  std::vector<Oracle> oracles_;
  std::string found_;
};

}  // namespace

ExchangeShape shape_of(const FreshPlan& plan) {
  ExchangeShape shape;
  shape.num_ranks = plan.num_ranks;
  shape.num_experts = experts_per_rank * plan.num_ranks;
  shape.topk = std::min(6, shape.num_experts);
  shape.hidden = 256;
  shape.max_tokens = most_tokens;
  return shape;
}

std::string run_fresh_operations(Exchange& exchange, const FreshPlan& plan) {
  std::string first;
  for (int operation = 0; operation < plan.operations; ++operation) {
    FreshOperation fresh(exchange, plan, operation);
    const std::string found = operation % 4 == 3 ? fresh.run_fused() : fresh.run_split();
    if (first.empty()) first = found;
  }
  return first;
}

}  // namespace epskew::testing
