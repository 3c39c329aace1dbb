#pragma once

/// Counter-based random numbers (Philox 4x32-10 of Random123, the generator cuRAND calls Philox4_32_10).
///
/// A value depends on (seed, stream, index) alone, never on how many were drawn before or by which thread; that is
/// what makes routing identical on every machine, compiler and thread count.

#include <array>
#include <cstdint>
#include <utility>

#include <Random123/philox.h>

namespace epskew {

/// One independent sequence of random numbers. Cheap to copy; no hidden state besides the position.
class RandomStream {
 public:
  /// Streams with different (seed, stream) are independent. `stream` names a purpose, see the enums of its users.
  RandomStream(std::uint64_t seed, std::uint64_t stream)
      : key_{{static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)}}, stream_(stream) {}

  /// The four 32-bit words at `index`.
  std::array<std::uint32_t, 4> block(std::uint64_t index) const {
    const r123::Philox4x32::ctr_type counter{
        {static_cast<std::uint32_t>(index), static_cast<std::uint32_t>(index >> 32),
         static_cast<std::uint32_t>(stream_), static_cast<std::uint32_t>(stream_ >> 32)}};
    const auto out = r123::Philox4x32()(counter, key_);
    return {out[0], out[1], out[2], out[3]};
  }

  /// The next 32-bit word of the sequence.
  std::uint32_t next_u32() {
    if (left_ == 0) {
      buffer_ = block(position_++);
      left_ = 4;
    }
    return buffer_[--left_];
  }

  std::uint64_t next_u64() {
    const std::uint64_t high = next_u32();
    return high << 32 | next_u32();
  }

  /// Uniform in [0, bound), without bias (Lemire's multiply-and-reject). `bound` > 0.
  std::uint32_t below(std::uint32_t bound) {
    std::uint64_t product = std::uint64_t{next_u32()} * bound;
    if (static_cast<std::uint32_t>(product) < bound) {
      const std::uint32_t threshold = (0u - bound) % bound;
      while (static_cast<std::uint32_t>(product) < threshold) product = std::uint64_t{next_u32()} * bound;
    }
    return static_cast<std::uint32_t>(product >> 32);
  }

  /// Uniform in (0, 1), on the grid (i + 1/2) / 2^53.
  double uniform() { return (static_cast<double>(next_u64() >> 11) + 0.5) * 0x1p-53; }

 private:
  r123::Philox4x32::key_type key_;
  std::uint64_t stream_;
  std::uint64_t position_ = 0;
  std::array<std::uint32_t, 4> buffer_{};
  int left_ = 0;
};

/// Fisher–Yates shuffle of `items` (anything with size() and operator[]) by `random`.
template <class Items>
void shuffle(Items& items, RandomStream& random) {
  for (auto i = items.size(); i > 1; --i) {
    const auto j = random.below(static_cast<std::uint32_t>(i));
    std::swap(items[i - 1], items[j]);
  }
}

}  // namespace epskew
