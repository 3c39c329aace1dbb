#include "epskew/fit/fit.hpp"

#include <fmt/format.h>

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
#include "epskew/support/error.hpp"
#include "epskew/support/output_file.hpp"
#include "fit_flags.hpp"
#include "trace_flags.hpp"

namespace epskew::app {
namespace {

struct FitOutputs {
  std::optional<OutputFile> json, html, law;
  bool text_to_stderr = false;
};

/// Checked before anything is read: a fit that cannot be written is not worth its time.
FitOutputs outputs_of(const FitFlags& flags) {
  FitOutputs outputs;
  if (!flags.json.empty()) outputs.json.emplace("--json", flags.json);
  if (!flags.html.empty()) outputs.html.emplace("--html", flags.html);
  if (!flags.law_out.empty()) outputs.law.emplace("--law-out", flags.law_out);
  if (outputs.law && outputs.law->is_stdout())
    throw UsageError("--law-out - is no file (bench --law reads one); give it a name");
  require_distinct({&outputs.json, &outputs.html, &outputs.law});
  WorkloadFlags placed;
  placed.placement = flags.placement;
  refuse_to_replace({&outputs.json, &outputs.html, &outputs.law}, inputs_of(flags.trace, placed));
  outputs.text_to_stderr =
      (outputs.json && outputs.json->is_stdout()) || (outputs.html && outputs.html->is_stdout());
  return outputs;
}

void run_fit(const FitFlags& flags, const std::vector<std::string>& argv) {
  const FitOutputs outputs = outputs_of(flags);
  WorkloadFlags stated;
  stated.num_experts = flags.num_experts;
  stated.num_topk = flags.num_topk;
  const Trace trace = load_trace(flags.trace, stated);
  FitReport report = fit_trace(trace, options_of(flags, trace.num_experts));
  for (std::string& note : notes_on(flags, report)) report.notes.push_back(std::move(note));
  if (!flags.law_out.empty()) write_law(law_of(report), flags.law_out);
  const FitRun run = run_of(argv);
  if (outputs.json) outputs.json->write(to_json(report, run));
  if (outputs.html) outputs.html->write(fit_page(report, run));
  fmt::print(outputs.text_to_stderr ? stderr : stdout, "{}", to_text(report));
}

}  // namespace

void add_fit(CLI::App& app, const std::vector<std::string>& argv) {
  const auto flags = std::make_shared<FitFlags>();
  CLI::App* command =
      app.add_subcommand("fit", "which distribution recorded routing follows, per layer and level");
  add_fit_flags(*command, *flags);
  command->callback([flags, argv] { run_fit(*flags, argv); });
}

}  // namespace epskew::app
