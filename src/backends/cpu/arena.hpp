#pragma once

/// One rank's data memory: what others write into and read from. Formulas in docs/memory.md.

#include <cstddef>
#include <cstdint>

#include "epskew/exchange/shape.hpp"
#include "epskew/support/bfloat16.hpp"

namespace epskew::cpu {

/// Offsets of one micro-batch's buffers; each begins on a page of its own, so that the unused tail of one
/// costs nothing.
struct ArenaLayout {
  std::size_t rows = 0;           ///< [max_rows][row bytes]
  std::size_t scales = 0;         ///< [max_rows][H/128] f32, or bytes for fp8_ue8m0; empty for bf16
  std::size_t source_token = 0;   ///< [max_rows] int32
  std::size_t expert_output = 0;  ///< [max_rows][H] bf16
  std::size_t combined = 0;       ///< [M][H] bf16
  std::size_t batch_bytes = 0;
  std::size_t total_bytes = 0;
};
ArenaLayout make_arena_layout(const ExchangeShape& shape, const ExchangeOptions& options);
/// Bytes of one scale as delivered: 4, 1, or 0 without scales.
std::size_t scale_bytes(DispatchFormat format);

/// Typed access to the arena of one rank and micro-batch.
class ArenaView {
 public:
  ArenaView(std::byte* base, const ArenaLayout& layout, int batch)
      : base_(base + static_cast<std::size_t>(batch) * layout.batch_bytes), layout_(&layout) {}

  std::byte* rows() const { return base_ + layout_->rows; }
  std::byte* scales() const { return base_ + layout_->scales; }
  std::int32_t* source_token() const {
    return reinterpret_cast<std::int32_t*>(base_ + layout_->source_token);
  }
  BFloat16* expert_output() const { return reinterpret_cast<BFloat16*>(base_ + layout_->expert_output); }
  BFloat16* combined() const { return reinterpret_cast<BFloat16*>(base_ + layout_->combined); }

 private:
  std::byte* base_;
  const ArenaLayout* layout_;
};

}  // namespace epskew::cpu
