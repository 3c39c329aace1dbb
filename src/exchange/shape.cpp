#include "epskew/exchange/shape.hpp"

#include <algorithm>

namespace epskew {

long ExchangeShape::max_rows() const {
  return static_cast<long>(num_ranks) * max_tokens * std::min(topk, experts_per_rank());
}

}  // namespace epskew
