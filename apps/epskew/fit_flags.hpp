#pragma once

/// The flags of `fit` and what they mean: shared by the program and the Python package.

#include <CLI/CLI.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "epskew/fit/fit.hpp"
#include "epskew/fit/fit_json.hpp"
#include "trace_flags.hpp"

namespace epskew::app {

struct FitFlags {
  TraceFlags trace;
  std::optional<std::int64_t> num_experts;
  std::optional<std::int64_t> num_topk;
  std::vector<std::string> levels = {"expert", "rank"};
  std::vector<int> num_processes;
  std::vector<int> windows = {128};
  std::string placement;
  int bootstrap = 200;
  std::uint64_t seed = 0;
  std::string json;
  std::string html;
  std::string law_out;
};

/// Adds every flag of FitFlags to `command`. `flags` must live until the command line is parsed.
void add_fit_flags(CLI::App& command, FitFlags& flags);

/// What to fit of a recording with so many experts. Throws UsageError for an unknown level, and for numbers
/// of ranks where ranks are not fitted.
FitOptions options_of(const FitFlags& flags, int num_experts);

/// What the report should say of what was asked for and cannot be.
std::vector<std::string> notes_on(const FitFlags& flags, const FitReport& report);

/// This run: `argv`, now and the library's version.
FitRun run_of(const std::vector<std::string>& argv);

}  // namespace epskew::app
