#pragma once

/// How the experts' results get back and become one token. Flags and waiting are not its business.

#include <memory>

#include "backends/cpu/operation.hpp"

namespace epskew::cpu {

class CombineAlgorithm {
 public:
  virtual ~CombineAlgorithm() = default;
  /// The results lie in the arena's expert_output. The caller orders the writes before its flags.
  virtual void send(const Operation& operation) = 0;
  /// After the flags of all ranks: writes the arena's combined tokens.
  virtual void receive(const Operation& operation) = 0;
};

std::unique_ptr<CombineAlgorithm> make_combine(const ExchangeShape& shape, const ExchangeOptions& options,
                                               const Variants& variants);

}  // namespace epskew::cpu
