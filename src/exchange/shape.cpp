#include "epskew/exchange/shape.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "epskew/support/error.hpp"

namespace epskew {
namespace {

constexpr int max_ranks = 4096;
constexpr int max_experts = 4096;
constexpr int max_topk = 16;
constexpr int max_hidden = 16384;
constexpr int max_micro_batches = 8;
/// More address space than this for one rank is a typing error, not a decoding step.
constexpr double absurd_bytes = 256.0 * (1ull << 30);

struct FormatName {
  DispatchFormat format;
  std::string_view name;
};
constexpr std::array dispatch_formats = {
    FormatName{DispatchFormat::bf16, "bf16"}, FormatName{DispatchFormat::fp8, "fp8"},
    FormatName{DispatchFormat::fp8_pow2, "fp8_pow2"}, FormatName{DispatchFormat::fp8_ue8m0, "fp8_ue8m0"}};

void require_range(const char* flag, int value, int low, int high) {
  if (value >= low && value <= high) return;
  throw UsageError(fmt::format("{} {} is out of range ({} to {} are possible); choose a value in it", flag,
                               value, low, high));
}

/// Received rows and the experts' results, in the worst case of all tokens going to one rank; in double,
/// because the point is to refuse sizes that would not fit an integer.
double worst_case_bytes(const ExchangeShape& shape, const ExchangeOptions& options) {
  const double rows = static_cast<double>(shape.num_ranks) * shape.max_tokens *
                      std::min(shape.topk, shape.experts_per_rank());
  const double row = static_cast<double>(row_bytes(options.dispatch, shape.hidden)) +
                     4.0 * shape.num_scales() + 2.0 * shape.hidden;
  return rows * row * options.micro_batches;
}

}  // namespace

long ExchangeShape::max_rows() const {
  return static_cast<long>(num_ranks) * max_tokens * std::min(topk, experts_per_rank());
}

std::string_view name_of(DispatchFormat format) {
  for (const FormatName& entry : dispatch_formats) {
    if (entry.format == format) return entry.name;
  }
  return "unknown";
}

std::string_view name_of(CombineFormat format) {
  return format == CombineFormat::bf16 ? "bf16" : "logfmt10";
}

std::optional<DispatchFormat> find_dispatch_format(std::string_view name) {
  for (const FormatName& entry : dispatch_formats) {
    if (entry.name == name) return entry.format;
  }
  return std::nullopt;
}

std::size_t row_bytes(DispatchFormat format, int hidden) {
  return static_cast<std::size_t>(hidden) * (is_fp8(format) ? 1 : 2);
}

CombineRounding rounding_of(const ExchangeOptions& options) {
  const auto combine = options.variants.find("combine");
  return combine != options.variants.end() && combine->second == "prereduce"
             ? CombineRounding::summed_on_the_way
             : CombineRounding::in_order;
}

void validate(const ExchangeShape& shape, const ExchangeOptions& options) {
  require_range("--num-processes", shape.num_ranks, 1, max_ranks);
  require_range("--num-experts", shape.num_experts, 1, max_experts);
  require_range("--num-topk", shape.topk, 1, max_topk);
  require_range("--hidden", shape.hidden, scale_group, max_hidden);
  require_range("--num-tokens", shape.max_tokens, 0, std::numeric_limits<int>::max());
  require_range("--micro-batches", options.micro_batches, 1, max_micro_batches);
  if (shape.num_experts % shape.num_ranks != 0) {
    throw UsageError(
        fmt::format("--num-experts {} cannot be spread over {} ranks (every rank owns the same number); "
                    "choose a multiple of {}",
                    shape.num_experts, shape.num_ranks, shape.num_ranks));
  }
  if (shape.topk > shape.num_experts) {
    throw UsageError(
        fmt::format("--num-topk {} is more than --num-experts {} (a token selects an expert once); "
                    "choose {} or less",
                    shape.topk, shape.num_experts, shape.num_experts));
  }
  if (shape.hidden % scale_group != 0) {
    throw UsageError(
        fmt::format("--hidden {} is not a multiple of {} (channels share scales in groups of {}); "
                    "choose {}",
                    shape.hidden, scale_group, scale_group, (shape.hidden / scale_group + 1) * scale_group));
  }
  if (options.timeout.count() <= 0) {
    throw UsageError(
        "--timeout must be positive (every wait of an exchange is bounded by it); choose 1 s or more");
  }
  const double bytes = worst_case_bytes(shape, options);
  if (bytes > absurd_bytes || shape.max_rows() > std::numeric_limits<int>::max()) {
    throw UsageError(
        fmt::format("--num-tokens {} is too large (the worst case would need {:.0f} GB a rank); "
                    "choose fewer tokens, ranks or a smaller hidden size",
                    shape.max_tokens, std::ceil(bytes / 1e9)));
  }
}

}  // namespace epskew
