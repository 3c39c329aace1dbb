#pragma once

/// One micro-batch's current operation as its rank sees it: all that the algorithms work on.

#include <cstdint>
#include <vector>

#include "backends/cpu/arena.hpp"
#include "backends/cpu/row_plan.hpp"
#include "epskew/exchange/exchange.hpp"

namespace epskew::cpu {

struct Operation {
  Operation(int the_rank, const ExchangeShape& the_shape, const ExchangeOptions& the_options,
            const Variants& the_variants)
      : rank(the_rank),
        shape(the_shape),
        options(the_options),
        variants(the_variants),
        plan(the_rank, the_shape),
        lost(static_cast<std::size_t>(the_shape.num_ranks)) {}

  int rank;
  const ExchangeShape& shape;
  const ExchangeOptions& options;
  const Variants& variants;
  std::vector<ArenaView> arenas;  ///< [R], of this micro-batch
  RankInput input;
  RowPlan plan;
  std::uint32_t epoch = 0;         ///< operations begun
  std::vector<std::uint8_t> lost;  ///< [R] 1: that rank's part of this operation does not come

  const ArenaView& mine() const { return arenas[static_cast<std::size_t>(rank)]; }
  int num_tokens() const { return static_cast<int>(input.topk_idx.size()) / shape.topk; }
  std::size_t hidden() const { return static_cast<std::size_t>(shape.hidden); }
  std::size_t payload_bytes() const { return row_bytes(options.dispatch, shape.hidden); }
  std::size_t scales_bytes() const {
    return static_cast<std::size_t>(shape.num_scales()) * scale_bytes(options.dispatch);
  }
  /// One (token, expert) pair of this rank's own tokens.
  struct Selection {
    int slot;
    int rank;  ///< where the expert lives
    std::size_t local_expert;
    std::size_t row;  ///< there
    float weight;
  };
  /// Calls f(Selection) for every selection of `token` in top-k order, without those of lost ranks.
  template <class F>
  void for_each_selection(int token, F&& f) const {
    for (int slot = 0; slot < shape.topk; ++slot) {
      const auto i = static_cast<std::size_t>(token) * static_cast<std::size_t>(shape.topk) +
                     static_cast<std::size_t>(slot);
      const std::int32_t expert = input.topk_idx[i];
      if (expert < 0) continue;
      const int host = expert / shape.experts_per_rank();
      if (lost[static_cast<std::size_t>(host)] != 0) continue;
      f(Selection{slot, host, static_cast<std::size_t>(expert % shape.experts_per_rank()),
                  static_cast<std::size_t>(plan.row_of_selection()[i]), input.topk_weights[i]});
    }
  }
};

}  // namespace epskew::cpu
