#include "epskew/exchange/oracle.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
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

/// Another seed (the SplitMix64 step): data of seed and of the n-th after it have nothing in common.
std::uint64_t seed_after(std::uint64_t seed, std::uint64_t n) {
  std::uint64_t mixed = seed + n * 0x9e3779b97f4a7c15u;
  mixed = (mixed ^ mixed >> 30) * 0xbf58476d1ce4e5b9u;
  mixed = (mixed ^ mixed >> 27) * 0x94d049bb133111ebu;
  return mixed ^ mixed >> 31;
}

/// The power of two that weights are divided by: 0 unless 2^30 times the largest comes near the end of
/// binary32.
int exponent_of_largest(std::span<const float> weights) {
  float largest = 0;
  for (const float weight : weights) largest = std::max(largest, std::fabs(weight));
  return largest < 0x1p60f ? 0 : std::ilogb(largest);
}

bool comes_before(const Mismatch& a, const Mismatch& b) {
  return std::tie(a.source_rank, a.token, a.expert, a.column) <
         std::tie(b.source_rank, b.token, b.expert, b.column);
}

/// Keeps the first few mismatches in their order and counts all.
class FirstMismatches {
 public:
  explicit FirstMismatches(std::size_t limit) : limit_(limit) {}

  void add(Mismatch mismatch, std::int64_t where) {
    ++wrong_;
    const auto at = std::find_if(kept_.begin(), kept_.end(),
                                 [&](const Kept& other) { return comes_before(mismatch, other.mismatch); });
    kept_.insert(at, {std::move(mismatch), where});
    if (kept_.size() > limit_) kept_.pop_back();
  }
  std::int64_t wrong() const { return wrong_; }
  /// `words` of the first one's place, put behind its detail.
  void explain_first(const std::function<std::string(std::int64_t)>& words) {
    kept_.front().mismatch.detail += "; " + words(kept_.front().where);
  }
  OracleVerdict verdict(std::int64_t checked) && {
    OracleVerdict result{checked, wrong_, {}};
    for (Kept& kept : kept_) result.mismatches.push_back(std::move(kept.mismatch));
    return result;
  }

 private:
  struct Kept {
    Mismatch mismatch;
    std::int64_t where;
  };
  std::size_t limit_;
  std::int64_t wrong_ = 0;
  std::vector<Kept> kept_;
};

std::optional<Mismatch> first_of(OracleVerdict verdict) {
  if (verdict.passed()) return std::nullopt;
  return std::move(verdict.mismatches.front());
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
      rounding_(rounding_of(options)),
      weight_exponent_(exponent_of_largest(table.topk_weights)),
      ranks_(static_cast<std::size_t>(table.num_ranks())),
      lost_(ranks_.size()) {}

void Oracle::leave_out(std::span<const std::uint8_t> lost) {
  std::fill(lost_.begin(), lost_.end(), std::uint8_t{0});
  std::copy(lost.begin(), lost.end(), lost_.begin());
  for (const auto& other : other_batches_) other->leave_out(lost);
}

void Oracle::accept(CombineRounding rounding) {
  rounding_ = rounding;
  for (const auto& other : other_batches_) other->accept(rounding);
}

void Oracle::renew() {
  seed_ = seed_after(seed_, 1);
  expert_version_ = 0;
  for (RankData& rank : ranks_) rank.made = false;
  for (const auto& other : other_batches_) other->renew();
}

void Oracle::use_experts(int version) {
  expert_version_ = version;
  for (const auto& other : other_batches_) other->use_experts(version);
}

void Oracle::use_blind_experts(bool blind) {
  blind_ = blind;
  for (const auto& other : other_batches_) other->use_blind_experts(blind);
}

Oracle& Oracle::of_batch(int batch) {
  if (batch == 0) return *this;
  while (other_batches_.size() < static_cast<std::size_t>(batch)) {
    const std::uint64_t seed = seed_after(~seed_, other_batches_.size());
    auto other = std::make_unique<Oracle>(table_, shape_, options_, data_, seed);
    other->rounding_ = rounding_;
    other->expert_version_ = expert_version_;
    other->blind_ = blind_;
    other->leave_out(lost_);
    other_batches_.push_back(std::move(other));
  }
  return *other_batches_[static_cast<std::size_t>(batch - 1)];
}

float Oracle::factor_of(int expert) const {
  return std::ldexp(factor_of_expert(expert), expert_version_);
}

std::vector<float> Oracle::weights_of(int rank) const {
  const auto experts = table_.experts_of_rank(rank);
  const auto topk = static_cast<std::size_t>(shape_.topk);
  const auto routed = table_.weights_of_rank(rank);
  std::vector<float> weights(routed.begin(), routed.end());
  for (float& weight : weights) weight = std::ldexp(weight, -weight_exponent_);
  for (std::size_t first = 0; first < weights.size(); first += topk) {
    shape_weights(data_, static_cast<int>(first / topk), experts.subspan(first, topk),
                  std::span(weights).subspan(first, topk));
  }
  for (std::size_t i = 0; i < weights.size(); ++i) {
    weights[i] =
        experts[i] < 0 ? std::numeric_limits<float>::quiet_NaN() : weights[i] / factor_of_expert(experts[i]);
  }
  return weights;
}

RankInput Oracle::input(int rank) {
  RankData& made = ranks_[static_cast<std::size_t>(rank)];
  if (!made.made) {
    const int tokens = table_.tokens_per_rank[static_cast<std::size_t>(rank)];
    const auto hidden = static_cast<std::size_t>(shape_.hidden);
    made.x.resize(static_cast<std::size_t>(tokens) * hidden);
    for (int token = 0; token < tokens; ++token) {
      make_token(data_, seed_, rank, token,
                 std::span(made.x).subspan(static_cast<std::size_t>(token) * hidden, hidden));
    }
    made.weights = weights_of(rank);
    made.made = true;
  }
  return {made.x, table_.experts_of_rank(rank), made.weights};
}

std::optional<Mismatch> Oracle::check_counts(int rank, const DispatchOutput& output) const {
  return check_layout(ExpectedRows(table_, rank, lost_), shape_, options_, output);
}

std::optional<Mismatch> Oracle::check_dispatch(int rank, const DispatchOutput& output) const {
  return first_of(judge_dispatch(rank, output, 1));
}

OracleVerdict Oracle::judge_dispatch(int rank, const DispatchOutput& output, std::size_t limit) const {
  const ExpectedRows expected(table_, rank, lost_);
  FirstMismatches found(limit);
  std::int64_t rows = 0;
  for (int expert = 0; expert < shape_.experts_per_rank(); ++expert) rows += expected.count(expert);
  if (auto wrong = check_layout(expected, shape_, options_, output)) {
    return {rows, std::max<std::int64_t>(rows, 1), {*std::move(wrong)}};
  }
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
        found.add({"dispatch", rank, source, index, expected.first_expert() + expert, difference->column,
                   difference->detail},
                  row);
      }
    }
  }
  if (found.wrong() > 0) found.explain_first([&](std::int64_t row) { return whose_row(output, row); });
  return std::move(found).verdict(rows);
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
  for (int expert = 0; expert < shape_.experts_per_rank(); ++expert) {
    const auto begin = static_cast<std::size_t>(output.expert_begin[static_cast<std::size_t>(expert)]);
    apply_expert(rank, expert, output, out.subspan(begin * hidden));
  }
}

void Oracle::apply_expert(int rank, int expert, const DispatchOutput& output, std::span<BFloat16> out) const {
  const auto hidden = static_cast<std::size_t>(shape_.hidden);
  const float factor = expert_factor(rank, expert);
  const std::int64_t begin = output.expert_begin[static_cast<std::size_t>(expert)];
  const std::int64_t end = output.expert_begin[static_cast<std::size_t>(expert) + 1];
  std::vector<BFloat16> same_for_all(blind_ ? hidden : 0);
  if (blind_) {
    make_sent(rank, 0, same_for_all);
    as_received(options_.dispatch, same_for_all, same_for_all);
  }
  for (std::int64_t row = begin; row < end; ++row) {
    const auto values = out.subspan(static_cast<std::size_t>(row - begin) * hidden, hidden);
    if (blind_) {
      std::copy(same_for_all.begin(), same_for_all.end(), values.begin());
    } else {
      dequantise_row(output, row, values);
    }
    for (BFloat16& value : values) value = to_bfloat16(to_float(value) * factor);
  }
}

float Oracle::expert_factor(int rank, int expert) const {
  return factor_of(rank * shape_.experts_per_rank() + expert);
}

void Oracle::make_sent(int rank, int token, std::span<BFloat16> x) const {
  // The one of no rank, where experts are blind.
  make_token(data_, seed_, blind_ ? shape_.num_ranks : rank, blind_ ? 0 : token, x);
}

CombinedToken Oracle::combined_token(int rank, int token, std::span<const float> sent) const {
  const auto topk = static_cast<std::size_t>(shape_.topk);
  const auto first = static_cast<std::size_t>(token) * topk;
  const auto experts = table_.experts_of_rank(rank);
  CombinedToken expected;
  for (std::size_t i = first; i < first + topk; ++i) {
    if (experts[i] < 0 || lost_[static_cast<std::size_t>(table_.rank_of(experts[i]))] != 0) continue;
    const float factor = factor_of(experts[i]);
    // Factors are powers of two: a product rounds in the same way with and without.
    expected.contributions.push_back({sent[i] * factor, factor});
  }
  return expected;
}

std::optional<Mismatch> Oracle::check_combine(int rank, std::span<const BFloat16> out) const {
  return first_of(judge_combine(rank, out, 1));
}

OracleVerdict Oracle::judge_combine(int rank, std::span<const BFloat16> out, std::size_t limit) const {
  const auto hidden = static_cast<std::size_t>(shape_.hidden);
  const std::int64_t tokens = table_.tokens_per_rank[static_cast<std::size_t>(rank)];
  const auto mismatch = [rank](int token, int column, std::string detail) {
    return Mismatch{"combine", rank, rank, token, -1, column, std::move(detail)};
  };
  if (out.size() != static_cast<std::size_t>(tokens) * hidden) {
    const auto detail =
        fmt::format("expected {} values, found {}", static_cast<std::size_t>(tokens) * hidden, out.size());
    return {tokens, std::max<std::int64_t>(tokens, 1), {mismatch(-1, -1, detail)}};
  }
  FirstMismatches found(limit);
  const std::vector<float> sent = weights_of(rank);
  CombineCheck check(options_, data_, rounding_, shape_.hidden);
  std::vector<BFloat16> x(hidden);
  CalcDiff diff;
  for (int token = 0; token < tokens; ++token) {
    make_sent(rank, token, x);
    const CombinedToken expected = combined_token(rank, token, sent);
    const auto values = out.subspan(static_cast<std::size_t>(token) * hidden, hidden);
    if (const auto difference = check.compare(values, x, expected)) {
      found.add(mismatch(token, difference->column, difference->detail), token);
    }
    const double sum = expected.weight_sum();
    for (std::size_t column = 0; column < hidden; ++column) {
      diff.add(to_float(x[column]) * sum, to_float(values[column]));
    }
  }
  if (found.wrong() == 0 && data_ == OracleData::random && !(diff.value() < calc_diff_limit(options_))) {
    return {tokens,
            tokens,
            {mismatch(-1, -1,
                      fmt::format("difference over all tokens is {:.3g}, at most {:.3g} is right",
                                  diff.value(), calc_diff_limit(options_)))}};
  }
  return std::move(found).verdict(tokens);
}

}  // namespace epskew
