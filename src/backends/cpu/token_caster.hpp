#pragma once

/// Casts tokens to the dispatch format and writes each to all its places.

#include <cstddef>
#include <vector>

#include "backends/cpu/operation.hpp"

namespace epskew::cpu {

class TokenCaster {
 public:
  TokenCaster(const ExchangeShape& shape, DispatchFormat format);

  /// One more place for the next token: `payload` is written past the caches, `scales` through them.
  void add_place(std::byte* payload, std::byte* scales);
  /// Casts token `token` of `operation`, writes it to the places added since the last call and forgets them.
  void send(const Operation& operation, int token);

 private:
  const std::byte* cast(const BFloat16* x, std::size_t column, std::size_t columns);
  void write_scales();

  DispatchFormat format_;
  std::vector<std::byte*> payloads_;
  std::vector<std::byte*> scale_rows_;
  std::vector<std::byte> codes_;  ///< one block
  std::vector<float> scales_;
  std::vector<std::uint8_t> scale_bytes_;
};

}  // namespace epskew::cpu
