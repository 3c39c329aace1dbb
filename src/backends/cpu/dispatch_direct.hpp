#pragma once

#include "backends/cpu/dispatch_algorithm.hpp"
#include "backends/cpu/token_caster.hpp"

namespace epskew::cpu {

/// A token is written once per expert, to its final row: nothing is moved at the receiver.
class DirectDispatch final : public DispatchAlgorithm {
 public:
  DirectDispatch(const ExchangeShape& shape, const ExchangeOptions& options)
      : caster_(shape, options.dispatch) {}
  void send(const Operation& operation) override;
  void receive(const Operation& /*operation*/) override {}
  void describe(const Operation& operation, DispatchOutput& output) const override;

 private:
  TokenCaster caster_;
};

}  // namespace epskew::cpu
