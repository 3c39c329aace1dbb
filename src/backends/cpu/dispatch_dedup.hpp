#pragma once

#include "backends/cpu/dispatch_algorithm.hpp"
#include "backends/cpu/token_caster.hpp"

namespace epskew::cpu {

/// A token is written once per destination rank, into the receiver's inbox. The receiver copies it to the
/// rows of its experts (dedup) or lets the rows refer to the inbox (rank_major).
class DedupDispatch final : public DispatchAlgorithm {
 public:
  DedupDispatch(const ExchangeShape& shape, const ExchangeOptions& options)
      : caster_(shape, options.dispatch) {}
  void send(const Operation& operation) override;
  void receive(const Operation& operation) override;
  void describe(const Operation& operation, DispatchOutput& output) const override;

 private:
  void deliver(const Operation& operation, std::size_t message, std::vector<std::int32_t>& next_row) const;

  TokenCaster caster_;
};

}  // namespace epskew::cpu
