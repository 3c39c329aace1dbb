#include "epskew/fit/fit.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "command.hpp"
#include "epskew/fit/fit_json.hpp"
#include "epskew/fit/fit_law.hpp"
#include "epskew/fit/fit_table.hpp"
#include "epskew/report/html.hpp"
#include "epskew/report/provenance.hpp"
#include "epskew/support/error.hpp"
#include "epskew/support/output_file.hpp"
#include "trace_flags.hpp"

namespace epskew::app {
namespace {

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

struct FitOutputs {
  std::optional<OutputFile> json, html;
  bool text_to_stderr = false;
};

/// Checked before anything is read: a fit that cannot be written is not worth its time.
FitOutputs outputs_of(const FitFlags& flags) {
  FitOutputs outputs;
  if (!flags.json.empty()) outputs.json.emplace("--json", flags.json);
  if (!flags.html.empty()) outputs.html.emplace("--html", flags.html);
  const bool json_to_stdout = outputs.json && outputs.json->is_stdout();
  const bool html_to_stdout = outputs.html && outputs.html->is_stdout();
  if (json_to_stdout && html_to_stdout) {
    throw UsageError(
        "standard output is asked for twice (two results would run into each other); give one a file name");
  }
  outputs.text_to_stderr = json_to_stdout || html_to_stdout;
  if (flags.law_out.empty()) return outputs;
  if (OutputFile("--law-out", flags.law_out).is_stdout()) {
    throw UsageError("--law-out - is no file (bench --law reads one); give it a name");
  }
  return outputs;
}

bool has_level(const FitFlags& flags, const char* level) {
  return std::find(flags.levels.begin(), flags.levels.end(), level) != flags.levels.end();
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

FitRun run_of(const std::vector<std::string>& argv) {
  Record record;
  add_provenance(record);
  return {record.tool.version, argv, record.created};
}

void run_fit(const FitFlags& flags, const std::vector<std::string>& argv) {
  const FitOutputs outputs = outputs_of(flags);
  WorkloadFlags stated;
  stated.num_experts = flags.num_experts;
  stated.num_topk = flags.num_topk;
  const Trace trace = load_trace(flags.trace, stated);
  const FitReport report = fit_trace(trace, options_of(flags, trace.num_experts));
  if (!flags.law_out.empty()) write_law(law_of(report), flags.law_out);
  const FitRun run = run_of(argv);
  if (outputs.json) outputs.json->write(to_json(report, run));
  if (outputs.html) outputs.html->write(fit_page(report, run));
  fmt::print(outputs.text_to_stderr ? stderr : stdout, "{}", to_text(report));
}

void add_flags(CLI::App& command, FitFlags& flags) {
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
  command.add_option("--seed", flags.seed, "of the resamples")->capture_default_str();
  command.add_option("--json", flags.json, "also write JSON to this file; - for standard output");
  command.add_option("--html", flags.html, "also write a page with plots; - for standard output");
  command.add_option("--law-out", flags.law_out, "also write the best law to this file, for bench --law");
}

}  // namespace

void add_fit(CLI::App& app, const std::vector<std::string>& argv) {
  const auto flags = std::make_shared<FitFlags>();
  CLI::App* command =
      app.add_subcommand("fit", "which distribution recorded routing follows, per layer and level");
  add_flags(*command, *flags);
  command->callback([flags, argv] { run_fit(*flags, argv); });
}

}  // namespace epskew::app
