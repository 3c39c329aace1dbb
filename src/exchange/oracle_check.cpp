#include "oracle_check.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "epskew/exchange/number_formats.hpp"

namespace epskew {
namespace {

constexpr double e4m3_relative = 0x1p-4;    // half a step of a 3-bit mantissa
constexpr double e4m3_subnormal = 0x1p-10;  // half a step below 2^-6, in units of the scale
constexpr double bf16_relative = 0x1p-9;    // one rounding
constexpr double logfmt_relative =
    0.03;  // half of the largest step, 2^(32/510/2) - 1 = 0.022, and bf16 around it
constexpr double logfmt_floor =
    0x1p-30;  // of the group's largest value: smaller ones are rounded up to amax·2^-32

std::string expected_found(double expected, double found) {
  return fmt::format("expected {:.9g}, found {:.9g}", expected, found);
}

double largest(std::span<const BFloat16> group) {
  double amax = 0;
  for (const BFloat16 value : group) amax = std::max(amax, std::fabs(static_cast<double>(to_float(value))));
  return amax;
}

/// The format's rule, with room for one rounding of binary32 in amax / 448.
bool scale_is_right(DispatchFormat format, double amax, double scale) {
  const double ideal = std::max(amax, 1e-4) / 448;
  constexpr double slack = 0x1p-22;
  if (format == DispatchFormat::fp8) return std::fabs(scale - ideal) <= slack * ideal;
  int exponent = 0;
  if (std::frexp(scale, &exponent) != 0.5) return false;
  return scale >= ideal * (1 - slack) && scale < 2 * ideal * (1 + slack);
}

double value_at(const DispatchOutput& output, std::size_t index, double scale) {
  if (output.format != DispatchFormat::bf16) {
    return from_e4m3(static_cast<std::uint8_t>(output.rows[index])) * scale;
  }
  BFloat16 value;
  std::memcpy(&value, output.rows.data() + index * sizeof value, sizeof value);
  return to_float(value);
}

std::optional<Difference> compare_group(const DispatchOutput& output, std::size_t first, double scale,
                                        std::span<const BFloat16> group, bool exact) {
  for (std::size_t i = 0; i < group.size(); ++i) {
    const double expected = to_float(group[i]);
    const double found = value_at(output, first + i, scale);
    const double room = exact ? 0 : std::fabs(expected) * e4m3_relative * 1.001 + scale * e4m3_subnormal;
    if (!(std::fabs(found - expected) <= room))
      return Difference{static_cast<int>(i), expected_found(expected, found)};
  }
  return std::nullopt;
}

}  // namespace

std::optional<Difference> compare_row(const DispatchOutput& output, std::int64_t row,
                                      std::span<const BFloat16> token, OracleData data) {
  const int hidden = static_cast<int>(token.size());
  const bool fp8 = is_fp8(output.format);
  for (int group = 0; group < hidden / scale_group; ++group) {
    const int column = group * scale_group;
    const auto values = token.subspan(static_cast<std::size_t>(column), scale_group);
    const double scale = scale_of(output, row, group, hidden);
    if (fp8 && !scale_is_right(output.format, largest(values), scale)) {
      return Difference{
          column, fmt::format("scale {:.9g} is wrong for a largest value of {:.9g}", scale, largest(values))};
    }
    const auto first = static_cast<std::size_t>(output.storage(row)) * static_cast<std::size_t>(hidden) +
                       static_cast<std::size_t>(column);
    auto difference = compare_group(output, first, scale, values, data == OracleData::exact || !fp8);
    if (difference) {
      difference->column += column;
      return difference;
    }
  }
  return std::nullopt;
}

std::optional<Difference> compare_combined(std::span<const BFloat16> out, const CombinedToken& expected,
                                           const ExchangeOptions& options, OracleData data) {
  const bool lossy = options.combine == CombineFormat::logfmt10;
  double relative = 0;
  if (data == OracleData::random) {
    relative = 4 * bf16_relative + (is_fp8(options.dispatch) ? e4m3_relative * 1.01 : 0);
  }
  if (lossy) relative += logfmt_relative;
  double floor = 0;
  for (std::size_t column = 0; column < out.size(); ++column) {
    if (column % scale_group == 0 && relative > 0) {
      const double amax = std::max(largest(expected.x.subspan(column, scale_group)), 1e-4);
      // Twice amax / 448 is the largest scale of any rule.
      floor =
          (is_fp8(options.dispatch) ? amax / 224 * e4m3_subnormal : 0) + (lossy ? amax * logfmt_floor : 0);
    }
    const double x = to_float(expected.x[column]);
    const double wanted = x * expected.weight_sum;
    const double found = to_float(out[column]);
    const double room = expected.weight_magnitude * (std::fabs(x) * relative + floor);
    if (!(std::fabs(found - wanted) <= room)) {
      return Difference{static_cast<int>(column), expected_found(wanted, found)};
    }
  }
  return std::nullopt;
}

void CalcDiff::add(double a, double b) {
  product_ += (a + 1) * (b + 1);
  norm_ += (a + 1) * (a + 1) + (b + 1) * (b + 1);
}

}  // namespace epskew
