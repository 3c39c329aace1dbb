#include "fit_flags.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "epskew/report/provenance.hpp"
#include "epskew/support/error.hpp"

namespace epskew::app {
namespace {

bool has_level(const FitFlags& flags, const char* level) {
  return std::find(flags.levels.begin(), flags.levels.end(), level) != flags.levels.end();
}

}  // namespace

void add_fit_flags(CLI::App& command, FitFlags& flags) {
  command.add_option("TRACE", flags.trace.trace, "recorded routing, a file or a folder")->required();
  add_trace_reading_flags(command, flags.trace);
  command.add_option("--num-experts", flags.num_experts, "experts, where the trace does not say");
  command.add_option("--num-topk", flags.num_topk, "experts of a token, where the trace does not say");
  command.add_option("--level", flags.levels, "loads of what: expert, rank")
      ->delimiter(',')
      ->capture_default_str();
  command
      .add_option("--num-processes", flags.num_processes,
                  "numbers of ranks [those of 8,16,32 that divide the experts]")
      ->delimiter(',');
  command
      .add_option("--windows", flags.windows, "batches of so many tokens per rank; 0: the whole trace only")
      ->delimiter(',')
      ->capture_default_str();
  command.add_option("--placement", flags.placement, "a placement file [contiguous]");
  command
      .add_option("--bootstrap", flags.bootstrap,
                  "resamples behind intervals, verdicts and p-values; 0: none of these")
      ->capture_default_str();
  add_seed(command, flags.seed, "of the resamples");
  command.add_option("--json", flags.json, "also write JSON to this file; - for standard output");
  command.add_option("--html", flags.html, "also write a page with plots; - for standard output");
  command.add_option("--law-out", flags.law_out, "also write the best law to this file, for bench --law");
}

FitOptions options_of(const FitFlags& flags, int num_experts) {
  for (const std::string& level : flags.levels) {
    if (level != "expert" && level != "rank") {
      throw UsageError(fmt::format(
          "--level {} is unknown (loads are of experts or of ranks); known: expert, rank", level));
    }
  }
  FitOptions options;
  options.expert = has_level(flags, "expert");
  if (has_level(flags, "rank")) {
    options.num_ranks = flags.num_processes.empty() ? default_num_ranks(num_experts) : flags.num_processes;
  } else if (!flags.num_processes.empty()) {
    throw UsageError(
        "--num-processes is given without --level rank (experts need no ranks); add rank or drop it");
  }
  if (flags.windows != std::vector<int>{0})
    options.window_tokens = flags.windows;
  else
    options.window_tokens.clear();
  if (!flags.placement.empty()) options.placement = read_placement(flags.placement, num_experts);
  options.bootstrap = flags.bootstrap;
  options.seed = flags.seed;
  return options;
}

std::vector<std::string> notes_on(const FitFlags& flags, const FitReport& report) {
  if (!has_level(flags, "rank") || !report.options.num_ranks.empty()) return {};
  return {
      fmt::format("no loads of ranks: none of 8, 16 and 32 divides {} experts; name divisors by "
                  "--num-processes",
                  report.num_experts)};
}

FitRun run_of(const std::vector<std::string>& argv) {
  Record record;
  add_provenance(record);
  return {record.tool.version, argv, record.created};
}

}  // namespace epskew::app
