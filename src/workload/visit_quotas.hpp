#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace epskew {

/// Which groups every token visits and how many selections it makes there.
struct Visits {
  int width = 0;                     ///< visits a token at most
  std::vector<std::int32_t> groups;  ///< [tokens][width]; token t uses its first count[t]
  std::vector<std::uint8_t> count;   ///< [tokens]
  std::vector<std::uint8_t> quota;   ///< [tokens][width], filled by set_quotas
};

/// Quotas of 0..most each such that every token has degrees[t] selections and every group totals[group].
/// False where the visits do not allow that.
bool set_quotas(Visits& visits, std::span<const std::uint8_t> degrees, std::span<const std::int64_t> totals,
                int most, std::uint64_t seed);

}  // namespace epskew
