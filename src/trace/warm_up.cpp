#include "trace/warm_up.hpp"

#include <algorithm>
#include <cstddef>

namespace epskew {
namespace {

/// The end of the run of identical rows that begins at row `first`.
std::size_t end_of_run(const TraceLayer& layer, std::size_t first, std::size_t rows) {
  const auto width = static_cast<std::size_t>(layer.topk);
  const auto* const begin = layer.topk_idx.data() + first * width;
  std::size_t end = first + 1;
  while (end < rows && std::equal(begin, begin + width, layer.topk_idx.data() + end * width)) ++end;
  return end;
}

/// Moves rows [first, end) to row `to`, which is not behind them.
void move_rows(TraceLayer& layer, std::size_t first, std::size_t end, std::size_t to) {
  const auto width = static_cast<std::size_t>(layer.topk);
  const auto move = [&](auto* data) {
    std::copy(data + first * width, data + end * width, data + to * width);
  };
  move(layer.topk_idx.data());
  if (!layer.topk_weights.empty()) move(layer.topk_weights.data());
}

}  // namespace

std::int64_t handle_warm_up(TraceLayer& layer, bool drop) {
  const auto rows = static_cast<std::size_t>(layer.num_tokens());
  std::size_t kept = 0;
  for (std::size_t first = 0; first < rows;) {
    const std::size_t end = end_of_run(layer, first, rows);
    if (end - first < static_cast<std::size_t>(warm_up_run)) {
      if (drop && kept != first) move_rows(layer, first, end, kept);
      kept += end - first;
    }
    first = end;
  }
  if (drop) {
    const auto width = static_cast<std::size_t>(layer.topk);
    layer.topk_idx.resize(kept * width);
    if (!layer.topk_weights.empty()) layer.topk_weights.resize(kept * width);
  }
  return static_cast<std::int64_t>(rows - kept);
}

}  // namespace epskew
