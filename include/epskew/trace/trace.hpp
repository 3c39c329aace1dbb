#pragma once

/// Recorded routing, whatever file it came from.

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace epskew {

/// One MoE layer of a recording: per token (ids, maybe weights) or counts only.
struct TraceLayer {
  int layer = 0;                        ///< the layer's number in the recording
  int topk = 0;                         ///< 0 for a count trace
  std::vector<std::int32_t> topk_idx;   ///< [tokens][topk]; -1 = masked; empty for a count trace
  std::vector<float> topk_weights;      ///< [tokens][topk], or empty where not recorded
  std::vector<std::int64_t> counts;     ///< [num_experts]; for a token trace, counted from topk_idx
  std::int64_t num_tokens() const { return topk == 0 ? 0 : static_cast<std::int64_t>(topk_idx.size()) / topk; }
};

struct Trace {
  std::string format;                   ///< "esft", "csv", "jsonl", "npy", "trtllm", "epskew"
  std::filesystem::path source;
  int num_experts = 0;
  std::vector<TraceLayer> layers;       ///< ascending by layer number
  std::int64_t constant_rows = 0;       ///< rows equal to their predecessor in long runs: warm-up, see drop_constant
};

struct TraceOptions {
  std::optional<int> num_experts;       ///< unset: largest id + 1, or what the file says
  std::optional<int> topk;              ///< needed where the file does not say
  std::vector<int> layers;              ///< empty: all
  bool drop_constant = false;           ///< leave warm-up rows out
};

/// Reads a file or folder, recognising the format by content. Throws UsageError naming file, line or tensor, and remedy.
Trace read_trace(const std::filesystem::path& path, const TraceOptions& options);

}  // namespace epskew
