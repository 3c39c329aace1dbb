#include "oracle_check.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>

#include "epskew/exchange/number_formats.hpp"

namespace epskew {
namespace {

constexpr double e4m3_relative = 0x1p-4;    // half a step of a 3-bit mantissa
constexpr double e4m3_subnormal = 0x1p-10;  // half a step below 2^-6, in units of the scale
constexpr double bf16_relative = 0x1p-8;    // one rounding
constexpr double f32_relative = 0x1p-24;    // one rounding
constexpr double logfmt_range = 0x1p-32;    // of the group's largest: smaller values are rounded up to it

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

/// What LogFMT-10 does to one group of a token.
struct CodedShare {
  double weight = 0;    ///< Σ of the magnitudes of the weights whose contributions are coded
  double relative = 0;  ///< how far a coded value may lie off, of its magnitude
  double floor = 0;     ///< and besides
};

/// A contribution is coded where all its magnitudes are below 1 and not all the same. A value lies at most
/// half the distance of two levels off, and is rounded to bf16; the hundredth and 2^-16 are for logarithms in
/// binary32. A zero among the values may widen the range to its limit, as in DeepEP, or be left out of it, as
/// in our own.
CodedShare coded_share(std::span<const float> x, const CombinedToken& token) {
  double smallest = std::numeric_limits<double>::infinity();
  double largest = 0;
  for (const float value : x) {
    smallest = std::min(smallest, std::fabs(static_cast<double>(value)));
    largest = std::max(largest, std::fabs(static_cast<double>(value)));
  }
  CodedShare share;
  if (!(smallest < largest)) return share;
  for (const auto& contribution : token.contributions) {
    if (largest * std::fabs(contribution.factor) < 1) share.weight += std::fabs(contribution.weight);
  }
  const double step = std::min(std::log2(largest / smallest), 32.0) / 510;
  share.relative = (std::exp2(step) - 1) / 2 * 1.01 + bf16_relative + 0x1p-16;
  share.floor = largest * logfmt_range;
  return share;
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

void as_received(DispatchFormat format, std::span<const BFloat16> x, std::span<BFloat16> out) {
  if (!is_fp8(format)) {
    std::copy(x.begin(), x.end(), out.begin());
    return;
  }
  std::vector<std::uint8_t> codes(x.size());
  std::vector<float> scales(x.size() / scale_group);
  quantise_fp8(x, format != DispatchFormat::fp8, codes, scales);
  for (std::size_t i = 0; i < x.size(); ++i)
    out[i] = to_bfloat16(from_e4m3(codes[i]) * scales[i / scale_group]);
}

double CombinedToken::weight_sum() const {
  double sum = 0;
  for (const Contribution& contribution : contributions) sum += contribution.weight;
  return sum;
}

double CombinedToken::weight_magnitude() const {
  double sum = 0;
  for (const Contribution& contribution : contributions) sum += std::fabs(contribution.weight);
  return sum;
}

CombineCheck::CombineCheck(const ExchangeOptions& options, OracleData data, CombineRounding rounding,
                           int hidden)
    : format_(options.dispatch),
      logfmt_(options.combine == CombineFormat::logfmt10),
      data_(data),
      rounding_(rounding),
      seen_(static_cast<std::size_t>(hidden)),
      received_(seen_.size()) {}

std::optional<Difference> CombineCheck::compare(std::span<const BFloat16> out, std::span<const BFloat16> x,
                                                const CombinedToken& expected) {
  as_received(format_, x, seen_);
  std::transform(seen_.begin(), seen_.end(), received_.begin(),
                 [](BFloat16 value) { return to_float(value); });
  // Exact data sums without rounding, in whatever order.
  const bool bits = !logfmt_ && (data_ == OracleData::exact || rounding_ == CombineRounding::in_order);
  for (std::size_t begin = 0; begin < out.size(); begin += scale_group) {
    const auto group = out.subspan(begin, scale_group);
    auto difference =
        bits ? compare_in_order(group, begin, expected) : compare_within(group, begin, expected);
    if (difference) {
      difference->column += static_cast<int>(begin);
      return difference;
    }
  }
  return std::nullopt;
}

std::optional<Difference> CombineCheck::compare_in_order(std::span<const BFloat16> out, std::size_t begin,
                                                         const CombinedToken& expected) const {
  const float* const x = received_.data() + begin;
  std::array<float, scale_group> sum{};
  for (const auto& contribution : expected.contributions) {
    for (std::size_t i = 0; i < scale_group; ++i) sum[i] += contribution.weight * x[i];
  }
  for (std::size_t i = 0; i < scale_group; ++i) {
    const float found = to_float(out[i]);
    if (found == to_float(to_bfloat16(sum[i]))) continue;
    float fused = 0;
    for (const auto& contribution : expected.contributions)
      fused = std::fma(contribution.weight, x[i], fused);
    if (found == to_float(to_bfloat16(fused))) continue;
    return Difference{static_cast<int>(i), expected_found(to_float(to_bfloat16(sum[i])), found)};
  }
  return std::nullopt;
}

std::optional<Difference> CombineCheck::compare_within(std::span<const BFloat16> out, std::size_t begin,
                                                       const CombinedToken& expected) const {
  const auto x = std::span(received_).subspan(begin, scale_group);
  const CodedShare coded = logfmt_ ? coded_share(x, expected) : CodedShare{};
  const double sum = expected.weight_sum();
  const double magnitude = expected.weight_magnitude();
  const bool on_the_way = rounding_ == CombineRounding::summed_on_the_way;
  const auto terms = static_cast<double>(expected.contributions.size());
  for (std::size_t i = 0; i < scale_group; ++i) {
    const double size = std::fabs(x[i]);
    const double before =
        coded.weight * (size * coded.relative + coded.floor) +
        magnitude * size * ((on_the_way ? bf16_relative : 0) + terms * 1.001 * f32_relative);
    const double wanted = x[i] * sum;
    const double found = to_float(out[i]);
    const double room = before + (std::fabs(wanted) + before) * bf16_relative;
    if (!(std::fabs(found - wanted) <= room)) {
      return Difference{static_cast<int>(i), expected_found(wanted, found)};
    }
  }
  return std::nullopt;
}

void CalcDiff::add(double a, double b) {
  product_ += (a + 1) * (b + 1);
  norm_ += (a + 1) * (a + 1) + (b + 1) * (b + 1);
}

}  // namespace epskew
