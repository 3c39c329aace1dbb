#pragma once

/// The flags that name a recording and how it is replayed, shared by `bench`, `gen` and `inspect`.

#include <CLI/CLI.hpp>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "epskew/trace/replay.hpp"
#include "epskew/trace/trace.hpp"
#include "workload_flags.hpp"

namespace epskew::app {

struct TraceFlags {
  std::string trace;                  ///< file or folder; empty: no trace
  std::optional<std::string> layers;  ///< numbers with commas, or "all"
  std::string npy;                    ///< counts or ids; empty: the shape decides
  bool drop_constant = false;
  std::optional<std::uint64_t> max_file_bytes;
  std::optional<std::string> windows;  ///< a number or "all"
  std::optional<std::string> deal;
};

/// How a recording is read: --layers, --npy, --drop-constant, --max-file-bytes.
void add_trace_reading_flags(CLI::App& command, TraceFlags& flags);
/// --trace, the reading flags, --windows and --deal.
void add_trace_flags(CLI::App& command, TraceFlags& flags);

/// Throws UsageError where any of the flags is given without --trace.
void refuse_flags_without_trace(const TraceFlags& flags);

/// Every file that the flags name to be read: no result may take its place.
std::vector<std::filesystem::path> inputs_of(const TraceFlags& flags, const WorkloadFlags& workload);

/// Reads flags.trace. The experts and top-k that the user states (by flag or --model) must agree with the
/// recording.
Trace load_trace(const TraceFlags& flags, const WorkloadFlags& workload);

/// The recorded rounds on the ranks and tokens that `workload` says, else those of a routing file itself; its
/// families, patterns and masks do not apply, and throw UsageError where they are set.
Replay load_replay(const Trace& trace, const TraceFlags& flags, const WorkloadFlags& workload);

}  // namespace epskew::app
