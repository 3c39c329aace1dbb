#include "workload/rows.hpp"

#include <algorithm>
#include <array>
#include <span>

#include "workload/fast_random.hpp"

namespace epskew {
namespace {

constexpr std::size_t block_tokens = 256;
constexpr std::size_t weights_per_block = 8;  // 16 bits each out of the 128 of one Philox block

/// Masks `count` distinct entries of a rank's [tokens][topk], uniformly, by lowering the degrees of their
/// tokens. Where most are masked it draws the ones that are kept.
void mask_entries(std::span<std::uint8_t> degrees, std::size_t topk, std::size_t count, FastRandom& random) {
  const std::size_t entries = degrees.size() * topk;
  const bool draw_kept = count > entries / 2;
  if (draw_kept) std::fill(degrees.begin(), degrees.end(), std::uint8_t{0});
  std::vector<bool> drawn(entries, false);
  for (std::size_t left = draw_kept ? entries - count : count; left > 0;) {
    const std::size_t token = random.below(static_cast<std::uint32_t>(degrees.size()));
    const std::size_t entry = token * topk + random.below(static_cast<std::uint32_t>(topk));
    if (drawn[entry]) continue;
    drawn[entry] = true;
    degrees[token] = static_cast<std::uint8_t>(degrees[token] + (draw_kept ? 1 : -1));
    --left;
  }
}

/// The low or high half of a Philox word, plus 1: an integer in [1, 65536].
std::int32_t weight_of(const std::array<std::uint32_t, 4>& words, std::size_t i) {
  return static_cast<std::int32_t>((words[i / 2] >> (i % 2 == 0 ? 0 : 16)) & 0xffffu) + 1;
}

void draw_weights(std::span<const std::int32_t> experts, std::span<float> weights, const RandomStream& random,
                  std::uint64_t token) {
  const std::uint64_t blocks = (experts.size() + weights_per_block - 1) / weights_per_block;
  std::array<std::int32_t, 256> raw;
  std::int32_t sum = 0;
  for (std::uint64_t block = 0; block < blocks; ++block) {
    const std::array<std::uint32_t, 4> words = random.block(token * blocks + block);
    const std::size_t first = block * weights_per_block;
    for (std::size_t i = 0; i < std::min(weights_per_block, experts.size() - first); ++i) {
      raw[first + i] = experts[first + i] < 0 ? 0 : weight_of(words, i);
      sum += raw[first + i];
    }
  }
  const float total = sum == 0 ? 1.0f : static_cast<float>(sum);
  for (std::size_t i = 0; i < experts.size(); ++i) weights[i] = static_cast<float>(raw[i]) / total;
}

void shuffle_row(std::span<std::int32_t> row, FastRandom& random) {
  Digits digits(random);
  for (std::size_t i = row.size(); i > 1; --i) {
    std::swap(row[i - 1], row[digits.below(static_cast<std::uint32_t>(i))]);
  }
}

}  // namespace

std::vector<std::uint8_t> degrees_after_masking(const WorkloadSpec& spec) {
  std::vector<std::uint8_t> degrees;
  const auto topk = static_cast<std::size_t>(spec.topk);
  for (std::size_t rank = 0; rank < spec.tokens_per_rank.size(); ++rank) {
    const std::size_t first = degrees.size();
    const auto tokens = static_cast<std::size_t>(spec.tokens_per_rank[rank]);
    degrees.resize(first + tokens, static_cast<std::uint8_t>(topk));
    const std::size_t masked = std::min(static_cast<std::size_t>(spec.num_masked), tokens * topk);
    if (masked == 0) continue;
    FastRandom random(spec.seed, Stream::mask, rank);
    mask_entries(std::span(degrees).subspan(first, tokens), topk, masked, random);
  }
  return degrees;
}

RoutingTable empty_table(int num_experts, int topk, const std::vector<std::int32_t>& tokens_per_rank) {
  RoutingTable table;
  table.num_experts = num_experts;
  table.topk = topk;
  table.tokens_per_rank = tokens_per_rank;
  table.topk_idx.resize(static_cast<std::size_t>(table.num_tokens()) * static_cast<std::size_t>(topk));
  return table;
}

void finish_rows(RoutingTable& table, const std::vector<std::uint8_t>& degrees, std::uint64_t seed) {
  const auto topk = static_cast<std::size_t>(table.topk);
  table.topk_weights.resize(table.topk_idx.size());
  const RandomStream weights(seed, static_cast<std::uint64_t>(Stream::weights));
  for (std::size_t first = 0; first < degrees.size(); first += block_tokens) {
    FastRandom random(seed, Stream::row_order, first / block_tokens);
    for (std::size_t token = first; token < std::min(first + block_tokens, degrees.size()); ++token) {
      const std::span<std::int32_t> row = std::span(table.topk_idx).subspan(token * topk, topk);
      std::fill(row.begin() + degrees[token], row.end(), -1);
      shuffle_row(row, random);
      draw_weights(row, std::span(table.topk_weights).subspan(token * topk, topk), weights, token);
    }
  }
}

}  // namespace epskew
