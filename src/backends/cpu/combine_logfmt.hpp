#pragma once

#include <vector>

#include "backends/cpu/combine_algorithm.hpp"

namespace epskew::cpu {

/// Results are coded at the expert's rank and pulled in coded form: fewer bytes move, more is computed.
class LogfmtCombine final : public CombineAlgorithm {
 public:
  explicit LogfmtCombine(const ExchangeShape& shape);
  void send(const Operation& operation) override;
  void receive(const Operation& operation) override;

 private:
  std::vector<BFloat16> decoded_;  ///< [K][H] of one token
};

}  // namespace epskew::cpu
