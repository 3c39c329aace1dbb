#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <vector>

#include "epskew/support/error.hpp"
#include "epskew/support/file.hpp"
#include "epskew/support/json_file.hpp"
#include "epskew/support/safetensors.hpp"
#include "trace/readers.hpp"

namespace epskew {
namespace {

namespace fs = std::filesystem;

/// The number between `prefix` and `suffix`, which make up the whole of `text` with it.
std::optional<std::int64_t> number_between(std::string_view text, std::string_view prefix,
                                           std::string_view suffix) {
  if (!text.starts_with(prefix) || !text.ends_with(suffix) || text.size() <= prefix.size() + suffix.size())
    return std::nullopt;
  text = text.substr(prefix.size(), text.size() - prefix.size() - suffix.size());
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || number < 0) return std::nullopt;
  return number;
}

std::int64_t meta_number(const nlohmann::json& meta, const char* key, const fs::path& file) {
  const auto found = meta.is_object() ? meta.find(key) : meta.end();
  if (found == meta.end() || !found->is_number_integer()) {
    throw UsageError(
        fmt::format("{} has no whole number {} (TensorRT-LLM writes it); record again", file.string(), key));
  }
  return found->get<std::int64_t>();
}

/// rank<r>.safetensors of the folder by r.
std::map<std::int64_t, fs::path> rank_files(const fs::path& folder, const std::vector<fs::path>& all) {
  std::map<std::int64_t, fs::path> files;
  for (const fs::path& file : all) {
    if (const auto rank = number_between(file.filename().string(), "rank", ".safetensors"))
      files.emplace(*rank, file);
  }
  if (files.empty()) {
    throw UsageError(
        fmt::format("{} has no rank<r>.safetensors (beside meta_info.json they were expected); record again",
                    folder.string()));
  }
  const std::int64_t last = files.rbegin()->first;
  if (last + 1 != static_cast<std::int64_t>(files.size())) {
    throw UsageError(
        fmt::format("{} has {} rank files, the last of rank {} (ranks are missing); copy all of them",
                    folder.string(), files.size(), last));
  }
  return files;
}

void add_tensor(const std::string& key, const TensorView& tensor, const SafeTensors& file,
                std::int64_t num_experts, TraceBuilder& builder) {
  const std::string what = fmt::format("{}, tensor {}", file.name(), key);
  const std::size_t cut = std::min(key.find('_'), key.size());
  const auto iteration = number_between(key.substr(0, cut), "", "");
  const auto layer = number_between(key.substr(cut), "_", "");
  if (!iteration || !layer) {
    throw UsageError(
        fmt::format("{} is not named <iteration>_<layer> (as TensorRT-LLM does); remove it", what));
  }
  if (tensor.shape != std::vector<std::int64_t>{num_experts}) {
    throw UsageError(
        fmt::format("{} has shape {} ([{}] was expected, the experts of meta_info.json); record again", what,
                    to_string(tensor.shape), num_experts));
  }
  const Where where{what, "", 0};
  const std::vector<std::int64_t> counts = to_int64(tensor, what);
  for (std::size_t expert = 0; expert < counts.size(); ++expert) {
    builder.add_count(*layer, *iteration, static_cast<std::int64_t>(expert), counts[expert], where);
  }
}

}  // namespace

void read_trtllm(const fs::path& folder, const std::vector<fs::path>& files, TraceBuilder& builder) {
  const fs::path meta_file = folder / "meta_info.json";
  const nlohmann::json meta = read_json_file(meta_file);
  const std::string meta_name = meta_file.string();
  const std::int64_t num_experts = meta_number(meta, "num_experts", meta_file);
  builder.state_num_experts(num_experts, {meta_name, "", 0});
  builder.state_topk(meta_number(meta, "num_experts_per_token", meta_file), {meta_name, "", 0});
  for (const auto& [rank, path] : rank_files(folder, files)) {
    const SafeTensors file(read_file(path, builder.options().max_file_bytes), path.string());
    for (const auto& [key, tensor] : file.tensors()) add_tensor(key, tensor, file, num_experts, builder);
  }
}

}  // namespace epskew
