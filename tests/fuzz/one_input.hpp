#pragma once

#include <array>
#include <filesystem>
#include <string>

#include "epskew/support/error.hpp"
#include "epskew/trace/recognise.hpp"

namespace epskew::test {

/// One name a reader; the extension decides where content does not.
inline constexpr std::array<const char*, 5> reader_names = {"expert_weights_1.txt", "t.csv", "t.jsonl",
                                                            "t.npy", "t.safetensors"};

/// Reads `bytes` as the trace `name`. A UsageError is a fine answer; any other exception, crash or sanitizer
/// report is a bug. Returns whether the bytes were taken.
inline bool read_any(const std::string& bytes, const char* name) {
  const bool is_even = bytes.size() % 2 == 0;
  TraceOptions options;
  options.drop_constant = is_even;
  // An option that does not belong to a format is refused before a byte of it is read.
  const std::filesystem::path extension = std::filesystem::path(name).extension();
  if (extension == ".npy") options.array_content = is_even ? ArrayContent::ids : ArrayContent::counts;
  if (extension == ".txt") options.topk = 3;
  try {
    parse_trace(bytes, name, options);
    return true;
  } catch (const UsageError&) {
    return false;
  }
}

}  // namespace epskew::test
