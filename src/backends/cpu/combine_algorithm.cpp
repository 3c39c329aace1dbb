#include "backends/cpu/combine_algorithm.hpp"

#include <algorithm>
#include <utility>

#include "backends/cpu/combine_logfmt.hpp"
#include "exchange/kernels.hpp"

namespace epskew::cpu {
namespace {

/// Sums the rows of every token into the combined output; `collect(token, rows)` appends a token's rows and
/// is called once for each, in order, one token ahead of the sums.
template <class Collect>
void reduce_tokens(const Operation& operation, Collect&& collect) {
  std::vector<WeightedRow> rows, next;
  const int tokens = operation.num_tokens();
  if (tokens > 0) collect(0, next);
  for (int token = 0; token < tokens; ++token) {
    rows.swap(next);
    next.clear();
    if (token + 1 < tokens) collect(token + 1, next);
    reduce_rows_streaming(rows, next, operation.shape.hidden,
                          operation.mine().combined() + static_cast<std::size_t>(token) * operation.hidden());
  }
  finish_streaming();
}

/// Reads every result where its expert's rank made it.
class PullCombine final : public CombineAlgorithm {
 public:
  void send(const Operation& /*operation*/) override {}
  void receive(const Operation& operation) override {
    reduce_tokens(operation, [&](int token, std::vector<WeightedRow>& rows) {
      operation.for_each_selection(token, [&](const Operation::Selection& selection) {
        const ArenaView& host = operation.arenas[static_cast<std::size_t>(selection.rank)];
        rows.push_back({host.expert_output() + selection.row * operation.hidden(), selection.weight});
      });
    });
  }
};

/// Writes every result to its owner, who then reads his own memory only.
class PushCombine final : public CombineAlgorithm {
 public:
  void send(const Operation& operation) override {
    const ArenaView& mine = operation.mine();
    const auto ranks = static_cast<std::size_t>(operation.shape.num_ranks);
    const std::size_t bytes = operation.hidden() * sizeof(BFloat16);
    for (std::size_t i = 0; i < operation.plan.source_range().size(); ++i) {
      const RowRange range = operation.plan.source_range()[i];
      const ArenaView& owner = operation.arenas[i % ranks];
      for (std::int32_t j = range.begin; j < range.begin + range.count; ++j) {
        const auto row = static_cast<std::size_t>(j);
        const auto place = static_cast<std::size_t>(mine.source_token()[row] * operation.shape.topk +
                                                    mine.source_slot()[row]);
        stream_copy(reinterpret_cast<const std::byte*>(mine.expert_output() + row * operation.hidden()),
                    reinterpret_cast<std::byte*>(owner.returned() + place * operation.hidden()), bytes);
      }
    }
    finish_streaming();
  }
  void receive(const Operation& operation) override {
    const ArenaView& mine = operation.mine();
    reduce_tokens(operation, [&](int token, std::vector<WeightedRow>& rows) {
      operation.for_each_selection(token, [&](const Operation::Selection& selection) {
        const auto place = static_cast<std::size_t>(token * operation.shape.topk + selection.slot);
        rows.push_back({mine.returned() + place * operation.hidden(), selection.weight});
      });
    });
  }
};

/// Sums what a token has on this rank, rounded once to bf16; owners read one sum per rank and add in rank
/// order. Message numbers are those of a deduplicated dispatch: by source, then token.
class PrereduceCombine final : public CombineAlgorithm {
 public:
  void send(const Operation& operation) override {
    for (int source = 0; source < operation.shape.num_ranks; ++source) sum_for(operation, source);
  }
  void receive(const Operation& operation) override {
    const auto ranks = static_cast<std::size_t>(operation.shape.num_ranks);
    std::vector<std::size_t> next_message(ranks);
    for (std::size_t rank = 0; rank < ranks; ++rank) {
      next_message[rank] = operation.plan.first_message_at(static_cast<int>(rank));
    }
    std::vector<std::uint8_t> visits(ranks);
    reduce_tokens(operation, [&](int token, std::vector<WeightedRow>& rows) {
      std::fill(visits.begin(), visits.end(), std::uint8_t{0});
      operation.for_each_selection(token, [&](const Operation::Selection& selection) {
        visits[static_cast<std::size_t>(selection.rank)] = 1;
      });
      for (std::size_t rank = 0; rank < ranks; ++rank) {
        if (visits[rank] == 0) continue;
        rows.push_back({operation.arenas[rank].partial() + next_message[rank]++ * operation.hidden(), 1.0f});
      }
    });
  }

 private:
  /// Groups the rows of one source by token; rows of a token come in the order of local experts.
  void sum_for(const Operation& operation, int source) {
    const ArenaView& mine = operation.mine();
    const auto ranks = static_cast<std::size_t>(operation.shape.num_ranks);
    tokens_.clear();
    for (std::size_t i = static_cast<std::size_t>(source); i < operation.plan.source_range().size();
         i += ranks) {
      const RowRange range = operation.plan.source_range()[i];
      for (std::int32_t row = range.begin; row < range.begin + range.count; ++row) {
        tokens_.emplace_back(mine.source_token()[row], row);
      }
    }
    std::sort(tokens_.begin(), tokens_.end());
    auto message = static_cast<std::size_t>(operation.plan.messages_from(source).begin);
    for (std::size_t i = 0; i < tokens_.size(); ++message) {
      rows_.clear();
      for (const std::int32_t token = tokens_[i].first; i < tokens_.size() && tokens_[i].first == token;
           ++i) {
        const auto row = static_cast<std::size_t>(tokens_[i].second);
        rows_.push_back({mine.expert_output() + row * operation.hidden(), mine.source_weight()[row]});
      }
      reduce_rows(rows_, operation.shape.hidden, mine.partial() + message * operation.hidden());
    }
  }

  std::vector<std::pair<std::int32_t, std::int32_t>> tokens_;  ///< (token, row)
  std::vector<WeightedRow> rows_;
};

}  // namespace

std::unique_ptr<CombineAlgorithm> make_combine(const ExchangeShape& shape, const ExchangeOptions& options,
                                               const Variants& variants) {
  if (options.combine == CombineFormat::logfmt10) return std::make_unique<LogfmtCombine>(shape);
  switch (variants.combine) {
    case CombineVariant::push:
      return std::make_unique<PushCombine>();
    case CombineVariant::prereduce:
      return std::make_unique<PrereduceCombine>();
    case CombineVariant::pull:
      break;
  }
  return std::make_unique<PullCombine>();
}

}  // namespace epskew::cpu
