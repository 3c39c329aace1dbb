#pragma once

/// Cheap random numbers for the inner loops of dealing.

#include <cstdint>

#include "epskew/support/random.hpp"
#include "workload/streams.hpp"

namespace epskew {

/// SplitMix64 (Steele, Lea, Flood, OOPSLA 2014) started from one value of the counter-based generator. Each
/// block of tokens starts its own by index, so what a block draws does not depend on any other block.
class FastRandom {
 public:
  FastRandom(std::uint64_t seed, Stream stream, std::uint64_t index) {
    const auto words = RandomStream(seed, static_cast<std::uint64_t>(stream)).block(index);
    state_ = std::uint64_t{words[0]} << 32 | words[1];
  }

  std::uint64_t next() {
    std::uint64_t z = state_ += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
  }

  /// Uniform in [0, bound), without bias (Lemire's multiply-and-reject). `bound` > 0.
  std::uint32_t below(std::uint32_t bound) {
    std::uint64_t product = (next() >> 32) * bound;
    if (static_cast<std::uint32_t>(product) < bound) {
      const std::uint32_t threshold = (0u - bound) % bound;
      while (static_cast<std::uint32_t>(product) < threshold) product = (next() >> 32) * bound;
    }
    return static_cast<std::uint32_t>(product >> 32);
  }

 private:
  std::uint64_t state_;
};

/// Several small draws out of one 64-bit number: the mixed-radix digits of a fraction. With `digits` draws
/// below 32 the bias is at most 32^digits / 2^64, which for the eight of refill_after is 2^-24.
class Digits {
 public:
  static constexpr int refill_after = 8;

  explicit Digits(FastRandom& random) : random_(random), fraction_(random.next()) {}

  std::uint32_t below(std::uint32_t bound) {
    if (left_-- == 0) {
      fraction_ = random_.next();
      left_ = refill_after - 1;
    }
    const auto product = static_cast<unsigned __int128>(fraction_) * bound;
    fraction_ = static_cast<std::uint64_t>(product);
    return static_cast<std::uint32_t>(product >> 64);
  }

 private:
  FastRandom& random_;
  std::uint64_t fraction_;
  int left_ = refill_after;
};

}  // namespace epskew
