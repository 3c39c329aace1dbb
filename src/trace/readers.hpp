#pragma once

/// One function a format. Each takes the bytes of a file, the name to use in messages, and the builder to
/// fill; each throws UsageError with the place of the first thing that is wrong.

#include <filesystem>
#include <string_view>
#include <vector>

#include "trace/builder.hpp"

namespace epskew {

/// ESFT text: one line a sample, `id\tid\t…\t\tweight\tweight\t…`, six experts a token unless the options say
/// otherwise.
void parse_esft(std::string_view text, std::string_view name, int layer, TraceBuilder& builder);
/// The layer in a name such as expert_weights_17.txt; nullopt where it does not end in a number.
std::optional<int> esft_layer_of(const std::filesystem::path& path);

/// `layer,expert,count` lines; a header may name (and so order) the columns; `#` comments; zero rows may be
/// missing.
void parse_csv(std::string_view text, std::string_view name, TraceBuilder& builder);

/// One JSON object a line with layer, ids (topk_ids, experts, …) and perhaps weights (topk_weights,
/// gating_probs, …).
void parse_jsonl(std::string_view text, std::string_view name, TraceBuilder& builder);

/// Counts [experts], [layers, experts] or [steps…, layers, experts]; ids [tokens…, layers, top-k] or [tokens,
/// top-k].
void parse_npy_trace(std::string_view bytes, std::string_view name, TraceBuilder& builder);

/// An epskew routing file as a trace of one layer, layer 0.
void parse_routing_trace(std::string bytes, std::string_view name, TraceBuilder& builder);

/// A TensorRT-LLM folder: meta_info.json and rank<r>.safetensors with a tensor "<iteration>_<layer>"
/// [experts] each. `files` are those of the folder.
void read_trtllm(const std::filesystem::path& folder, const std::vector<std::filesystem::path>& files,
                 TraceBuilder& builder);

}  // namespace epskew
