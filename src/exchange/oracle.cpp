#include "epskew/exchange/oracle.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <tuple>

#include "epskew/exchange/number_formats.hpp"
#include "oracle_check.hpp"
#include "oracle_data.hpp"
#include "oracle_layout.hpp"

namespace epskew {
namespace {

double calc_diff_limit(const ExchangeOptions& options) {
  return is_fp8(options.dispatch) ? 9e-4 : 1e-5;
}

bool comes_before(const Mismatch& a, const Mismatch& b) {
  return std::tie(a.source_rank, a.token, a.expert, a.column) <
         std::tie(b.source_rank, b.token, b.expert, b.column);
}

}  // namespace

std::string to_string(const Mismatch& mismatch) {
  std::string where = fmt::format("{}: rank {}", mismatch.phase, mismatch.rank);
  if (mismatch.source_rank != mismatch.rank) where += fmt::format(", source rank {}", mismatch.source_rank);
  if (mismatch.token >= 0) where += fmt::format(", token {}", mismatch.token);
  if (mismatch.expert >= 0) where += fmt::format(", expert {}", mismatch.expert);
  if (mismatch.column >= 0) where += fmt::format(", column {}", mismatch.column);
  return where + ": " + mismatch.detail;
}

Oracle::Oracle(const RoutingTable& table, const ExchangeShape& shape, const ExchangeOptions& options,
               OracleData data, std::uint64_t seed)
    : table_(table),
      shape_(shape),
      options_(options),
      data_(data),
      seed_(seed),
      ranks_(static_cast<std::size_t>(table.num_ranks())),
      lost_(ranks_.size()) {}

void Oracle::leave_out(std::span<const std::uint8_t> lost) {
  std::fill(lost_.begin(), lost_.end(), std::uint8_t{0});
  std::copy(lost.begin(), lost.end(), lost_.begin());
}

RankInput Oracle::input(int rank) {
  RankData& made = ranks_[static_cast<std::size_t>(rank)];
  const auto experts = table_.experts_of_rank(rank);
  const auto weights = table_.weights_of_rank(rank);
  if (made.weights.size() != experts.size()) {
    const int tokens = table_.tokens_per_rank[static_cast<std::size_t>(rank)];
    const auto hidden = static_cast<std::size_t>(shape_.hidden);
    made.x.resize(static_cast<std::size_t>(tokens) * hidden);
    for (int token = 0; token < tokens; ++token) {
      make_token(data_, seed_, rank, token,
                 std::span(made.x).subspan(static_cast<std::size_t>(token) * hidden, hidden));
    }
    made.weights.resize(experts.size());
    for (std::size_t i = 0; i < experts.size(); ++i) {
      const float base = data_ == OracleData::exact ? 1.0f : weights[i];
      made.weights[i] = experts[i] < 0 ? 0.0f : std::ldexp(base, -expert_exponent(experts[i]));
    }
  }
  return {made.x, experts, made.weights};
}

std::optional<Mismatch> Oracle::check_dispatch(int rank, const DispatchOutput& output) const {
  const ExpectedRows expected(table_, rank, lost_);
  if (auto wrong = check_layout(expected, shape_, options_, output)) return wrong;
  std::optional<Mismatch> first;
  std::int64_t first_row = 0;
  std::vector<BFloat16> token(static_cast<std::size_t>(shape_.hidden));
  for (int expert = 0; expert < shape_.experts_per_rank(); ++expert) {
    for (int source = 0; source < shape_.num_ranks; ++source) {
      const RowRange range =
          output.source_range[static_cast<std::size_t>(expert * shape_.num_ranks + source)];
      for (std::int64_t row = range.begin; row < range.begin + range.count; ++row) {
        const int index = output.source_token[static_cast<std::size_t>(row)];
        make_token(data_, seed_, source, index, token);
        const auto difference = compare_row(output, row, token, data_);
        if (!difference) continue;
        Mismatch found{
            "dispatch",        rank, source, index, expected.first_expert() + expert, difference->column,
            difference->detail};
        if (first && !comes_before(found, *first)) continue;
        first = std::move(found);
        first_row = row;
      }
    }
  }
  if (first) first->detail += "; " + whose_row(output, first_row);
  return first;
}

std::string Oracle::whose_row(const DispatchOutput& output, std::int64_t row) const {
  std::vector<BFloat16> token(static_cast<std::size_t>(shape_.hidden));
  for (int source = 0; source < shape_.num_ranks; ++source) {
    for (int index = 0; index < table_.tokens_per_rank[static_cast<std::size_t>(source)]; ++index) {
      make_token(data_, seed_, source, index, token);
      if (!compare_row(output, row, token, data_)) {
        return fmt::format("row {} holds token {} of rank {}", row, index, source);
      }
    }
  }
  return fmt::format("row {} holds no token of this round", row);
}

void Oracle::apply_experts(int rank, const DispatchOutput& output, std::span<BFloat16> out) const {
  const auto hidden = static_cast<std::size_t>(shape_.hidden);
  const int first_expert = rank * shape_.experts_per_rank();
  for (int expert = 0; expert < shape_.experts_per_rank(); ++expert) {
    const float factor = std::ldexp(1.0f, expert_exponent(first_expert + expert));
    const auto local = static_cast<std::size_t>(expert);
    for (std::int64_t row = output.expert_begin[local]; row < output.expert_begin[local + 1]; ++row) {
      const auto values = out.subspan(static_cast<std::size_t>(row) * hidden, hidden);
      dequantise_row(output, row, values);
      for (BFloat16& value : values) value = to_bfloat16(to_float(value) * factor);
    }
  }
}

std::optional<Mismatch> Oracle::check_combine(int rank, std::span<const BFloat16> out) const {
  const auto hidden = static_cast<std::size_t>(shape_.hidden);
  const auto experts = table_.experts_of_rank(rank);
  const auto weights = table_.weights_of_rank(rank);
  const int tokens = table_.tokens_per_rank[static_cast<std::size_t>(rank)];
  const auto mismatch = [rank](int token, int column, std::string detail) {
    return Mismatch{"combine", rank, rank, token, -1, column, std::move(detail)};
  };
  if (out.size() != static_cast<std::size_t>(tokens) * hidden) {
    return mismatch(
        -1, -1,
        fmt::format("expected {} values, found {}", static_cast<std::size_t>(tokens) * hidden, out.size()));
  }
  std::vector<BFloat16> x(hidden);
  CalcDiff diff;
  for (int token = 0; token < tokens; ++token) {
    make_token(data_, seed_, rank, token, x);
    CombinedToken expected{x};
    for (std::size_t i = static_cast<std::size_t>(token) * static_cast<std::size_t>(shape_.topk), k = 0;
         k < static_cast<std::size_t>(shape_.topk); ++k) {
      if (experts[i + k] < 0 || lost_[static_cast<std::size_t>(table_.rank_of(experts[i + k]))] != 0)
        continue;
      const double weight = data_ == OracleData::exact ? 1.0 : weights[i + k];
      expected.weight_sum += weight;
      expected.weight_magnitude += std::fabs(weight);
    }
    const auto values = out.subspan(static_cast<std::size_t>(token) * hidden, hidden);
    if (const auto difference = compare_combined(values, expected, options_, data_)) {
      return mismatch(token, difference->column, difference->detail);
    }
    for (std::size_t column = 0; column < hidden; ++column) {
      diff.add(to_float(x[column]) * expected.weight_sum, to_float(values[column]));
    }
  }
  if (data_ == OracleData::random && !(diff.value() < calc_diff_limit(options_))) {
    return mismatch(-1, -1,
                    fmt::format("difference over all tokens is {:.3g}, at most {:.3g} is right", diff.value(),
                                calc_diff_limit(options_)));
  }
  return std::nullopt;
}

}  // namespace epskew
