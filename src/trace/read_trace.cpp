#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <vector>

#include "epskew/support/error.hpp"
#include "epskew/support/npy.hpp"
#include "epskew/support/safetensors.hpp"
#include "epskew/trace/recognise.hpp"
#include "trace/lines.hpp"
#include "trace/readers.hpp"

namespace epskew {
namespace {

namespace fs = std::filesystem;

Trace read_esft_folder(const fs::path& folder, const std::vector<fs::path>& files,
                       const TraceOptions& options) {
  TraceBuilder builder("esft", folder, options);
  std::map<int, fs::path> layers;
  for (const fs::path& file : files) {
    if (!is_esft_name(file)) continue;
    const int layer = *esft_layer_of(file);
    const auto [other, is_new] = layers.emplace(layer, file);
    if (!is_new) {
      throw UsageError(fmt::format("{} and {} are both layer {} (one file a layer was expected); remove one",
                                   other->second.string(), file.string(), layer));
    }
  }
  for (const auto& [layer, file] : layers) {
    parse_esft(read_file(file, options.max_file_bytes), file.string(), layer, builder);
  }
  return std::move(builder).finish();
}

[[noreturn]] void refuse_npy_flag(const fs::path& path) {
  throw UsageError(fmt::format(
      "--npy is given for {} (it says what a .npy file holds, and this is none); drop it", path.string()));
}

Trace read_folder(const fs::path& folder, const TraceOptions& options) {
  const std::vector<fs::path> files = files_in(folder);
  if (options.array_content) refuse_npy_flag(folder);
  if (std::find(files.begin(), files.end(), folder / "meta_info.json") != files.end()) {
    TraceBuilder builder("trtllm", folder, options);
    read_trtllm(folder, files, builder);
    return std::move(builder).finish();
  }
  if (std::any_of(files.begin(), files.end(), is_esft_name)) return read_esft_folder(folder, files, options);
  throw UsageError(
      fmt::format("{} holds no trace (expert_weights_<layer>.txt, or meta_info.json with "
                  "rank<r>.safetensors, was expected); name the folder or file that has it",
                  folder.string()));
}

}  // namespace

Trace parse_trace(std::string bytes, const fs::path& path, const TraceOptions& options) {
  const TraceFormat format = recognise(bytes, path);
  if (options.array_content && format != TraceFormat::npy) refuse_npy_flag(path);
  TraceBuilder builder(name_of(format), path, options);
  const std::string name = path.string();
  switch (format) {
    case TraceFormat::esft:
      parse_esft(bytes, name, esft_layer_of(path).value_or(0), builder);
      break;
    case TraceFormat::csv:
      parse_csv(bytes, name, builder);
      break;
    case TraceFormat::jsonl:
      parse_jsonl(bytes, name, builder);
      break;
    case TraceFormat::npy:
      parse_npy_trace(bytes, name, builder);
      break;
    case TraceFormat::routing:
      parse_routing_trace(std::move(bytes), name, builder);
      break;
  }
  return std::move(builder).finish();
}

Trace read_trace(const fs::path& path, const TraceOptions& options) {
  std::error_code ignored;  // whatever is wrong with the path, read_file says it
  if (fs::is_directory(path, ignored)) return read_folder(path, options);
  return parse_trace(read_file(path, options.max_file_bytes), path, options);
}

std::vector<fs::path> trace_files(const fs::path& path) {
  std::error_code ignored;
  if (!fs::is_directory(path, ignored)) return {path};
  std::vector<fs::path> files = files_in(path);
  std::erase_if(files, [](const fs::path& file) {
    return !is_esft_name(file) && file.filename() != "meta_info.json" && file.extension() != ".safetensors";
  });
  return files;
}

}  // namespace epskew
