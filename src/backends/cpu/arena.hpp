#pragma once

/// One rank's data memory: what others write into and read from. Formulas in docs/memory.md.

#include <array>
#include <cstddef>
#include <cstdint>

#include "backends/cpu/variants.hpp"
#include "epskew/exchange/shape.hpp"
#include "epskew/support/bfloat16.hpp"

namespace epskew::cpu {

inline constexpr int max_topk = 16;

/// Goes before a deduplicated message: which of the receiver's experts want the token.
struct MessageHeader {
  std::int32_t token = 0;
  std::int32_t num_experts = 0;
  std::array<std::int32_t, max_topk> expert{};  ///< local at the receiver, ascending
  std::array<std::int32_t, max_topk> slot{};    ///< which of the token's selections
  std::array<float, max_topk> weight{};
};

/// Offsets of one micro-batch's buffers. Each begins on a page of its own, so that the unused tail of one
/// costs nothing; those that the variant does not use are empty.
struct ArenaLayout {
  std::size_t rows = 0;    ///< [max_rows][row bytes]; not for rank-major
  std::size_t scales = 0;  ///< [max_rows][H/128] f32, or bytes for fp8_ue8m0; empty for bf16 and rank-major
  std::size_t source_token = 0;   ///< [max_rows] int32
  std::size_t source_slot = 0;    ///< [max_rows] int32; push and prereduce
  std::size_t source_weight = 0;  ///< [max_rows] f32; prereduce
  std::size_t storage_row = 0;    ///< [max_rows] int32; rank-major
  std::size_t inbox_headers = 0;  ///< [R·M] MessageHeader; dedup and rank-major
  std::size_t inbox_rows = 0;     ///< [R·M][row bytes]; dedup and rank-major
  std::size_t inbox_scales = 0;   ///< [R·M][H/128]; dedup and rank-major
  std::size_t expert_output = 0;  ///< [max_rows][H] bf16
  std::size_t coded_output = 0;   ///< [max_rows][logfmt10_row_bytes]; LogFMT-10
  std::size_t returned = 0;       ///< [M][K][H] bf16, written by the experts' ranks; push
  std::size_t partial = 0;        ///< [R·M][H] bf16, this rank's sums per message; prereduce
  std::size_t combined = 0;       ///< [M][H] bf16
  std::size_t batch_bytes = 0;
  std::size_t total_bytes = 0;
};
ArenaLayout make_arena_layout(const ExchangeShape& shape, const ExchangeOptions& options,
                              const Variants& variants);
/// Bytes of one scale as delivered: 4, 1, or 0 without scales.
std::size_t scale_bytes(DispatchFormat format);

/// Typed access to the arena of one rank and micro-batch.
class ArenaView {
 public:
  ArenaView(std::byte* base, const ArenaLayout& layout, int batch)
      : base_(base + static_cast<std::size_t>(batch) * layout.batch_bytes), layout_(&layout) {}

  std::byte* rows() const { return base_ + layout_->rows; }
  std::byte* scales() const { return base_ + layout_->scales; }
  std::int32_t* source_token() const { return at<std::int32_t>(layout_->source_token); }
  std::int32_t* source_slot() const { return at<std::int32_t>(layout_->source_slot); }
  float* source_weight() const { return at<float>(layout_->source_weight); }
  std::int32_t* storage_row() const { return at<std::int32_t>(layout_->storage_row); }
  MessageHeader* inbox_headers() const { return at<MessageHeader>(layout_->inbox_headers); }
  std::byte* inbox_rows() const { return base_ + layout_->inbox_rows; }
  std::byte* inbox_scales() const { return base_ + layout_->inbox_scales; }
  BFloat16* expert_output() const { return at<BFloat16>(layout_->expert_output); }
  std::byte* coded_output() const { return base_ + layout_->coded_output; }
  BFloat16* returned() const { return at<BFloat16>(layout_->returned); }
  BFloat16* partial() const { return at<BFloat16>(layout_->partial); }
  BFloat16* combined() const { return at<BFloat16>(layout_->combined); }

 private:
  template <class T>
  T* at(std::size_t offset) const {
    return reinterpret_cast<T*>(base_ + offset);
  }
  std::byte* base_;
  const ArenaLayout* layout_;
};

}  // namespace epskew::cpu
