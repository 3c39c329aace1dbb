#pragma once

/// The right answer, from the routing alone and independent of every backend's code.
///
/// Exact data: every value is a function of (seed, source rank, token, column) that survives FP8 with any
/// scale rule and bf16 unchanged; expert e multiplies by a positive or negative power of two, weights are the
/// inverses, so a combined token is exactly x times its number of selections, and any row that visited a
/// wrong expert, or lost or doubled a contribution, shows. Random data: dispatched values lie within half a
/// step of their format; a combined token is what the definition makes of the token quantised by the
/// definition, to the last bit where the way of summing is known (CombineRounding).

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "epskew/exchange/exchange.hpp"
#include "epskew/routing/routing_table.hpp"

namespace epskew {

struct CombinedToken;

enum class OracleData { exact, random };

/// The first difference found, in (phase, rank, token, column) order.
struct Mismatch {
  std::string phase;  ///< "dispatch" or "combine"
  int rank = 0;       ///< where the wrong data is
  int source_rank = 0;
  int token = 0;
  int expert = -1;     ///< -1 for combine
  int column = -1;     ///< -1 where a count or index is wrong
  std::string detail;  ///< expected and found
};
/// "combine: rank 3, token 17, column 4096: expected 1.5, found 3"
std::string to_string(const Mismatch& mismatch);

/// What a check found in the data of one rank.
struct OracleVerdict {
  std::int64_t checked = 0;  ///< rows (dispatch) or tokens (combine) that had to be right
  std::int64_t wrong = 0;    ///< of these; all of them where counts, ranges or sizes are wrong already
  std::vector<Mismatch> mismatches;  ///< the first ones, one a row or token
  bool passed() const { return mismatches.empty(); }
};

class Oracle {
 public:
  /// `table` is borrowed.
  Oracle(const RoutingTable& table, const ExchangeShape& shape, const ExchangeOptions& options,
         OracleData data, std::uint64_t seed);

  /// The input of `rank`; the spans view memory owned by this object, made on first use.
  RankInput input(int rank);
  /// From now on expects the world without these ranks: [R] 1 = left out, empty = all there. Their tokens do
  /// not arrive (their rows may remain as gaps) and selections of their experts count as masked.
  void leave_out(std::span<const std::uint8_t> lost);
  /// How the exchange under test sums (Exchange::combine_rounding); at first as its options say.
  void accept(CombineRounding rounding);
  /// The same routing with other data in every token, here and for every micro-batch. What input() returned
  /// before is void.
  void renew();
  /// From now on the experts multiply by 2^version times as much as at first (version 0, also after renew),
  /// so that results of an earlier operation on the same data show.
  void use_experts(int version);
  /// From now on the experts ignore what they receive: each gives the same row everywhere, a token of this
  /// data that nobody sends (another after renew), times its factor. For a dispatch and combine in one call,
  /// whose results must lie there before it, while the rows may come in any order. That each contribution
  /// comes from its own row is then not seen; which ones arrive, how often and with which weight is.
  void use_blind_experts(bool blind);
  /// The oracle of a micro-batch: the same routing, data of its own. 0 is this one; the others are made on
  /// first use and live as long as this.
  Oracle& of_batch(int batch);
  /// Counts, ranges and source tokens only: what is safe to compute on.
  std::optional<Mismatch> check_counts(int rank, const DispatchOutput& output) const;
  /// Compares everything a dispatch delivers: counts, ranges, source tokens, payload and scales.
  std::optional<Mismatch> check_dispatch(int rank, const DispatchOutput& output) const;
  /// What the experts of `rank` make of a dispatch output: writes [num_rows][H].
  void apply_experts(int rank, const DispatchOutput& output, std::span<BFloat16> out) const;
  /// The same for the rows of one local expert: writes [rows of the expert][H].
  void apply_expert(int rank, int expert, const DispatchOutput& output, std::span<BFloat16> out) const;
  std::optional<Mismatch> check_combine(int rank, std::span<const BFloat16> out) const;
  /// The same checks to the end, for who wants to know how much is wrong: at most `limit` (>= 1) mismatches.
  OracleVerdict judge_dispatch(int rank, const DispatchOutput& output, std::size_t limit) const;
  OracleVerdict judge_combine(int rank, std::span<const BFloat16> out, std::size_t limit) const;
  /// What local expert `expert` of `rank` multiplies by: plus or minus a power of two.
  float expert_factor(int rank, int expert) const;

 private:
  struct RankData {
    bool made = false;
    std::vector<BFloat16> x;
    std::vector<float> weights;
  };
  /// [T][K] as sent: NaN where nothing is selected, which nobody may read.
  std::vector<float> weights_of(int rank) const;
  float factor_of(int expert) const;
  /// What the experts get for a token of `rank`, as it was sent.
  void make_sent(int rank, int token, std::span<BFloat16> x) const;
  /// The selections that count for one token of `rank`, given the rank's weights as sent.
  CombinedToken combined_token(int rank, int token, std::span<const float> sent) const;
  /// Which token a row that should not be there holds, in words.
  std::string whose_row(const DispatchOutput& output, std::int64_t row) const;

  const RoutingTable& table_;
  ExchangeShape shape_;
  ExchangeOptions options_;
  OracleData data_;
  std::uint64_t seed_;
  CombineRounding rounding_;
  int weight_exponent_ = 0;  ///< weights of the routing are scaled by 2^-this: none may overflow
  int expert_version_ = 0;
  bool blind_ = false;
  std::vector<RankData> ranks_;
  std::vector<std::uint8_t> lost_;  ///< [R]
  std::vector<std::unique_ptr<Oracle>> other_batches_;
};

/// Dispatch, experts and combine for every local rank and micro-batch, checked: once split with all
/// micro-batches in flight, once fused, so that every buffer set is used. Each operation has data of its own
/// (Oracle::renew, of_batch), so nothing that an earlier one left behind is right. Collective; a rank that
/// finds a mismatch goes on to the end, so that the others do not wait for it. First mismatch of the local
/// ranks or nothing. The exchange is left with the oracle's inputs set.
std::optional<Mismatch> run_oracle(Exchange& exchange, Oracle& oracle);

}  // namespace epskew
