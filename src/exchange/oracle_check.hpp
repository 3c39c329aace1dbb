#pragma once

/// One value, one row, one combined token against what they must be.

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "epskew/exchange/oracle.hpp"

namespace epskew {

/// Where a comparison failed.
struct Difference {
  int column = -1;
  std::string detail;
};

/// A received row against the token it should hold. Exact data: every value equal. Random data: within the
/// rounding of the format. Scales must follow the format's rule.
std::optional<Difference> compare_row(const DispatchOutput& output, std::int64_t row,
                                      std::span<const BFloat16> token, OracleData data);

/// What one combined token is made of.
struct CombinedToken {
  std::span<const BFloat16> x;  ///< the token as sent
  double weight_sum = 0;        ///< Σ of the valid weights, the experts' powers of two taken out
  double weight_magnitude = 0;  ///< Σ of their magnitudes
};
std::optional<Difference> compare_combined(std::span<const BFloat16> out, const CombinedToken& expected,
                                           const ExchangeOptions& options, OracleData data);

/// DeepEP's measure of difference, 1 - 2Σ(a+1)(b+1) / Σ((a+1)²+(b+1)²), in binary64.
class CalcDiff {
 public:
  void add(double a, double b);
  double value() const { return norm_ == 0 ? 0 : 1 - 2 * product_ / norm_; }

 private:
  double product_ = 0;
  double norm_ = 0;
};

}  // namespace epskew
