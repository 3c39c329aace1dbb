#pragma once

/// Counts, row ranges and source tokens of a dispatch output against the routing.

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "epskew/exchange/oracle.hpp"

namespace epskew {

/// The tokens that each (local expert, source rank) of one rank must receive, ascending.
class ExpectedRows {
 public:
  /// `lost` [R]: 1 where nothing comes from that rank.
  ExpectedRows(const RoutingTable& table, int rank, std::span<const std::uint8_t> lost);

  int rank() const { return rank_; }
  int first_expert() const { return first_expert_; }
  std::span<const std::int32_t> tokens(int local_expert, int source) const;
  std::int64_t count(int local_expert) const;
  /// Segments may hold rows that no source answers for.
  bool may_have_gaps() const { return may_have_gaps_; }

 private:
  std::size_t cell(int local_expert, int source) const {
    return static_cast<std::size_t>(local_expert) * static_cast<std::size_t>(num_ranks_) +
           static_cast<std::size_t>(source);
  }
  int rank_;
  int first_expert_;
  int num_ranks_;
  bool may_have_gaps_;
  std::vector<std::vector<std::int32_t>> tokens_;  ///< [L][R]
};

/// Everything but the payload. Row numbers and token indexes of an output that passes are safe to use.
std::optional<Mismatch> check_layout(const ExpectedRows& expected, const ExchangeShape& shape,
                                     const ExchangeOptions& options, const DispatchOutput& output);

}  // namespace epskew
