#pragma once

/// Recorded routing, whatever file it came from.

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "epskew/support/file.hpp"

namespace epskew {

/// One MoE layer of a recording: per token (ids, maybe weights) or counts only.
struct TraceLayer {
  int layer = 0;                       ///< the layer's number in the recording
  int topk = 0;                        ///< 0 for a count trace
  std::vector<std::int32_t> topk_idx;  ///< [tokens][topk]; -1 = masked; empty for a count trace
  std::vector<float> topk_weights;     ///< [tokens][topk], or empty where not recorded
  std::vector<std::int64_t> counts;    ///< [num_experts]; for a token trace, counted from topk_idx
  /// Count traces that were recorded step by step: the counts of each step, [steps][num_experts], summing to
  /// `counts`.
  std::vector<std::vector<std::int64_t>> steps;

  std::int64_t num_tokens() const {
    return topk == 0 ? 0 : static_cast<std::int64_t>(topk_idx.size()) / topk;
  }
};

struct Trace {
  std::string format;  ///< "esft", "csv", "jsonl", "npy", "trtllm", "epskew"
  std::filesystem::path source;
  int num_experts = 0;
  int topk = 0;  ///< experts a token; 0 for a count trace of which neither the file nor the user said it
  bool num_experts_inferred = false;  ///< it is the largest id + 1; neither the file nor the user said it
  std::vector<TraceLayer> layers;     ///< ascending by layer number, none without selections
  /// Format "epskew": the tokens of each rank that the routing file was made for, the layer's tokens being
  /// ordered by rank. Empty for other formats, and where drop_constant took tokens out.
  std::vector<std::int32_t> tokens_per_rank;
  std::string spec;  ///< format "epskew": the file's JSON that says how it was made
  /// Token rows in runs of at least warm_up_run identical rows, the first of a run included: what engines
  /// record while they warm up on dummy input. Left out of `layers` with drop_constant.
  std::int64_t constant_rows = 0;
  std::vector<std::string> notes;  ///< what a user should know: layers left out, rows that look like warm-up
};

/// The shortest run of identical consecutive rows that counts as warm-up.
inline constexpr int warm_up_run = 32;

/// What a .npy array holds where its shape does not tell.
enum class ArrayContent { counts, ids };

struct TraceOptions {
  std::optional<int> num_experts = std::nullopt;  ///< unset: what the file says, else the largest id + 1
  std::optional<int> topk =
      std::nullopt;              ///< ESFT text: ids per token, unset 6. Elsewhere checked against the file
  std::vector<int> layers = {};  ///< empty: all
  bool drop_constant = false;    ///< leave warm-up rows out
  std::optional<ArrayContent> array_content = std::nullopt;  ///< .npy with three or more axes
  std::uint64_t max_file_bytes = default_max_file_bytes;
};

/// Reads a file or folder, recognising the format by content. Throws UsageError naming file, line or tensor,
/// and remedy.
Trace read_trace(const std::filesystem::path& path, const TraceOptions& options);

/// The files that read_trace takes its data from: `path` itself, or those of a folder; none where it is not
/// there.
std::vector<std::filesystem::path> trace_files(const std::filesystem::path& path);

}  // namespace epskew
