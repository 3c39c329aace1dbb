#pragma once

/// One token in the dispatch format, made in a buffer that stays in the first-level cache.

#include <cstddef>
#include <vector>

#include "backends/cpu/operation.hpp"

namespace epskew::cpu {

class TokenCaster {
 public:
  TokenCaster(const ExchangeShape& shape, DispatchFormat format);

  /// Casts token `token` of `operation`; the result is valid until the next call.
  void cast(const Operation& operation, int token);
  /// Writes it to `payload` (past the caches) and `scales`.
  void write(std::byte* payload, std::byte* scales) const;

 private:
  DispatchFormat format_;
  std::vector<std::byte> codes_;
  std::vector<float> scales_;
  std::vector<std::uint8_t> scale_bytes_;
  const std::byte* payload_ = nullptr;  ///< codes_, or the token itself for bf16
  std::size_t payload_bytes_;
};

}  // namespace epskew::cpu
