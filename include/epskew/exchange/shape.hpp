#pragma once

/// Sizes and number formats of an exchange: the same on every rank.

#include <chrono>
#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace epskew {

/// Channels that share one FP8 scale.
inline constexpr int scale_group = 128;

struct ExchangeShape {
  int num_ranks = 8;
  int num_experts = 288;
  int topk = 8;
  int hidden = 7168;    ///< multiple of 128
  int max_tokens = 128; ///< M: no rank sends more tokens than this

  int experts_per_rank() const { return num_experts / num_ranks; }
  int num_scales() const { return hidden / scale_group; }
  /// The most rows one rank can receive in a dispatch: R·M·min(K, L).
  long max_rows() const;
};

/// What a token looks like between dispatch_send and dispatch_recv (research: DeepEP's low-latency formats).
enum class DispatchFormat {
  bf16,
  fp8,        ///< e4m3, one f32 scale per 128 channels = amax / 448
  fp8_pow2,   ///< as fp8, scales rounded up to a power of two (DeepEP round_scale)
  fp8_ue8m0   ///< as fp8_pow2, scales delivered as exponent bytes
};
enum class CombineFormat { bf16, logfmt10 };

std::string_view name_of(DispatchFormat format);
std::string_view name_of(CombineFormat format);
std::optional<DispatchFormat> find_dispatch_format(std::string_view name);

/// Payload bytes of one row, scales not included.
std::size_t row_bytes(DispatchFormat format, int hidden);
inline bool is_fp8(DispatchFormat format) { return format != DispatchFormat::bf16; }

struct ExchangeOptions {
  DispatchFormat dispatch = DispatchFormat::fp8;
  CombineFormat combine = CombineFormat::bf16;
  /// Micro-batches whose exchanges may be in flight at once (w). A backend keeps as many buffer sets as make their reuse
  /// free of races without a barrier: D = 2·w, or w for what is written after hearing from all (docs/protocol.md).
  int micro_batches = 1;
  /// No wait lasts longer; then the op throws RankLost.
  std::chrono::milliseconds timeout{30'000};
  /// Variants of a backend by name, e.g. {"dispatch", "dedup"}; a backend throws UsageError for one it does not know.
  std::map<std::string, std::string> variants;
  /// Whether a backend that empties its caches itself (Exchange::own_flush_bytes) does so before an iteration.
  bool flush_cache = true;
  /// What happens when a rank is lost: false, the run ends with RankLost; true, the others leave it out and go on.
  /// A backend that cannot go on throws UsageError.
  bool shrink = false;
};

/// How a combine that is right may round. The oracle's exact data has no rounding in it.
enum class CombineRounding {
  /// Products and sums in binary32 in top-k order, then one rounding to bf16: the contract of Exchange. Equal
  /// to the last bit to that sum, whether a product is rounded before it is added or not (fused
  /// multiply-add): the two binary32 sequences that the contract leaves open.
  in_order,
  /// Binary32 in any order, one rounding to bf16: half a bf16 step, and K half steps of binary32 of the sum
  /// of magnitudes.
  any_order,
  /// The selections of a rank, or of any other group, are summed and rounded to bf16 on the way: one more
  /// half step of bf16, of the sum of magnitudes.
  summed_on_the_way
};
/// Of our own backends, where the user named the variant: summed_on_the_way for combine=prereduce, else
/// in_order.
CombineRounding rounding_of(const ExchangeOptions& options);

/// Throws UsageError, naming the flag, unless every backend could accept the shape: E divisible by R, K <= E, hidden
/// a multiple of 128 in [128, 16384], K <= 16, E <= 4096, and a reservation that is not absurd.
void validate(const ExchangeShape& shape, const ExchangeOptions& options);

}  // namespace epskew
