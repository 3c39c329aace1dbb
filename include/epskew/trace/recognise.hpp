#pragma once

/// Which of the recordings' formats the bytes of a file are in.

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "epskew/trace/trace.hpp"

namespace epskew {

/// Formats that are one file.
enum class TraceFormat { esft, csv, jsonl, npy, routing };

/// As in Trace::format.
const char* name_of(TraceFormat format);

/// Decides by content; the name only helps where content does not tell. Nothing for bytes in no such format.
/// Throws UsageError for pickles and compressed files, with the way out.
std::optional<TraceFormat> recognised(std::string_view bytes, const std::filesystem::path& path);

/// The same; throws UsageError for bytes in no format of a recording too.
TraceFormat recognise(std::string_view bytes, const std::filesystem::path& path);

/// expert_weights_<layer>.txt
bool is_esft_name(const std::filesystem::path& path);

/// Reads the bytes of a one-file trace. read_trace without the file system.
Trace parse_trace(std::string bytes, const std::filesystem::path& path, const TraceOptions& options);

}  // namespace epskew
