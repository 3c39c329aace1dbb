#include "backends/cpu/combine_logfmt.hpp"

#include "epskew/exchange/logfmt.hpp"
#include "exchange/kernels.hpp"

namespace epskew::cpu {

LogfmtCombine::LogfmtCombine(const ExchangeShape& shape)
    : decoded_(static_cast<std::size_t>(shape.topk) * static_cast<std::size_t>(shape.hidden)) {}

void LogfmtCombine::send(const Operation& operation) {
  const ArenaView& mine = operation.mine();
  const std::size_t bytes = logfmt10_row_bytes(operation.shape.hidden);
  for (std::size_t row = 0; row < static_cast<std::size_t>(operation.plan.num_rows()); ++row) {
    encode_logfmt_row(mine.expert_output() + row * operation.hidden(), operation.shape.hidden,
                      mine.coded_output() + row * bytes);
  }
}

void LogfmtCombine::receive(const Operation& operation) {
  const std::size_t bytes = logfmt10_row_bytes(operation.shape.hidden);
  std::vector<WeightedRow> rows;
  for (int token = 0; token < operation.num_tokens(); ++token) {
    rows.clear();
    operation.for_each_selection(token, [&](const Operation::Selection& selection) {
      BFloat16* const row = decoded_.data() + rows.size() * operation.hidden();
      const ArenaView& host = operation.arenas[static_cast<std::size_t>(selection.rank)];
      decode_logfmt_row(host.coded_output() + selection.row * bytes, operation.shape.hidden, row);
      rows.push_back({row, selection.weight});
    });
    reduce_rows(rows, operation.shape.hidden,
                operation.mine().combined() + static_cast<std::size_t>(token) * operation.hidden());
  }
}

}  // namespace epskew::cpu
