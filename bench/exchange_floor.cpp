#include "exchange_floor.hpp"

#include <algorithm>

#include "epskew/exchange/number_formats.hpp"

namespace epskew {
namespace {

struct Bytes {
  double read = 0;
  double written = 0;
};

double copying_us(const Bytes& bytes, const Rates& rates) {
  return 1e6 * (bytes.read + bytes.written) / rates.copy;
}

double moving_us(const Bytes& bytes, const Rates& rates) {
  return std::max(
      {copying_us(bytes, rates), 1e6 * bytes.read / rates.load, 1e6 * bytes.written / rates.store});
}

}  // namespace

Floor floor_of(const Rates& rates, const RoutingTable& table, const ExchangeShape& shape,
               DispatchFormat format) {
  const auto tokens = static_cast<double>(table.num_tokens());
  const auto selections = static_cast<double>(std::count_if(table.topk_idx.begin(), table.topk_idx.end(),
                                                            [](std::int32_t expert) { return expert >= 0; }));
  const double token_bytes = 2.0 * shape.hidden;
  const double row =
      static_cast<double>(row_bytes(format, shape.hidden)) + (is_fp8(format) ? 4.0 * shape.num_scales() : 0);
  const Bytes dispatch{tokens * token_bytes, selections * row};
  const Bytes combine{selections * token_bytes, tokens * token_bytes};
  const double cast_us = is_fp8(format) ? 1e6 * tokens / rates.cast : 0;
  const double reduce_us = 1e6 * selections / shape.topk / rates.reduce;
  Floor floor;
  floor.us = copying_us(dispatch, rates) + cast_us + std::max(copying_us(combine, rates), reduce_us);
  floor.by_direction_us =
      std::max(moving_us(dispatch, rates), cast_us) + std::max(moving_us(combine, rates), reduce_us);
  return floor;
}

}  // namespace epskew
