#pragma once

/// One value, one row, one combined token against what they must be.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

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

/// A token [H] as experts see it: quantised by the format's definition and back. `out` may be `x`.
void as_received(DispatchFormat format, std::span<const BFloat16> x, std::span<BFloat16> out);

/// What one combined token is made of.
struct CombinedToken {
  struct Contribution {
    float weight = 0;  ///< as sent, times what the expert multiplies by
    float factor = 0;  ///< what the expert multiplies by
  };
  std::vector<Contribution> contributions;  ///< that count, in top-k order
  double weight_sum() const;
  double weight_magnitude() const;
};

/// Compares combined tokens with what they must be. Exact data: equal to x times the sum of the weights. Else
/// the token is quantised by the definitions of number_formats.hpp, and its contributions are summed as
/// `rounding` says. LogFMT-10 moves a contribution by half the distance between two levels of its group, and
/// by a rounding to bf16; these are added up.
class CombineCheck {
 public:
  CombineCheck(const ExchangeOptions& options, OracleData data, CombineRounding rounding, int hidden);

  /// `x` [H] as sent, `out` [H] as combined.
  std::optional<Difference> compare(std::span<const BFloat16> out, std::span<const BFloat16> x,
                                    const CombinedToken& expected);

 private:
  std::optional<Difference> compare_in_order(std::span<const BFloat16> out, std::size_t begin,
                                             const CombinedToken& expected) const;
  std::optional<Difference> compare_within(std::span<const BFloat16> out, std::size_t begin,
                                           const CombinedToken& expected) const;

  DispatchFormat format_;
  bool logfmt_;
  OracleData data_;
  CombineRounding rounding_;
  std::vector<BFloat16> seen_;   ///< [H] the token as experts see it
  std::vector<float> received_;  ///< [H] the same
};

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
