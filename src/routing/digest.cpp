#include "epskew/routing/digest.hpp"

#include <fmt/format.h>
#include <xxhash.h>

#include <array>
#include <bit>
#include <memory>
#include <new>
#include <span>

namespace epskew {
namespace {

/// XXH3-128 of 32-bit words in little-endian order.
class WordHash {
 public:
  WordHash() : state_(XXH3_createState(), XXH3_freeState) {
    if (!state_ || XXH3_128bits_reset(state_.get()) == XXH_ERROR) throw std::bad_alloc();
  }

  template <class Word>
  void add(std::span<const Word> words) {
    static_assert(sizeof(Word) == 4);
    if constexpr (std::endian::native == std::endian::little) {
      update(words.data(), words.size_bytes());
    } else {
      for (const Word word : words) {
        const auto bits = std::bit_cast<std::uint32_t>(word);
        const std::array<unsigned char, 4> bytes = {
            static_cast<unsigned char>(bits), static_cast<unsigned char>(bits >> 8),
            static_cast<unsigned char>(bits >> 16), static_cast<unsigned char>(bits >> 24)};
        update(bytes.data(), bytes.size());
      }
    }
  }

  std::string hexadecimal() const {
    const XXH128_hash_t hash = XXH3_128bits_digest(state_.get());
    return fmt::format("{:016x}{:016x}", hash.high64, hash.low64);
  }

 private:
  void update(const void* data, std::size_t bytes) {
    // An empty vector has no data pointer to give.
    if (bytes != 0 && XXH3_128bits_update(state_.get(), data, bytes) == XXH_ERROR) throw std::bad_alloc();
  }

  std::unique_ptr<XXH3_state_t, XXH_errorcode (*)(XXH3_state_t*)> state_;
};

}  // namespace

std::string digest(const RoutingTable& table) {
  WordHash hash;
  const std::array<std::int32_t, 3> shape = {table.num_experts, table.topk, table.num_ranks()};
  hash.add<std::int32_t>(shape);
  hash.add<std::int32_t>(table.tokens_per_rank);
  hash.add<std::int32_t>(table.topk_idx);
  hash.add<float>(table.topk_weights);
  return hash.hexadecimal();
}

}  // namespace epskew
