#include "epskew/report/compare.hpp"

#include <fmt/format.h>

#include <array>
#include <filesystem>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "command.hpp"
#include "epskew/report/json.hpp"
#include "epskew/support/error.hpp"
#include "epskew/support/output_file.hpp"
#include "phase_names.hpp"

namespace epskew::app {
namespace {

struct CompareArguments {
  std::string a;
  std::string b;
  std::vector<std::string> phases;
  CompareOptions options;
  std::string json_target;
};

/// Ends the program with exit code 1, after the table has told everything.
void throw_if_failed(const Comparison& comparison) {
  const auto failures = comparison.failures();
  if (failures.empty()) return;
  const ComparedPhase& first = *failures.front();
  throw std::runtime_error(fmt::format(
      "{} of round {} takes {:.3f} times as long in B ({:.3f}-{:.3f}, above {}){}", name_of(first.phase),
      first.round, first.p50.ratio->ratio, first.p50.ratio->low, first.p50.ratio->high,
      *comparison.fail_above, failures.size() > 1 ? fmt::format(", and {} more", failures.size() - 1) : ""));
}

void run_compare(CompareArguments& arguments) {
  std::optional<OutputFile> json;
  if (!arguments.json_target.empty()) json.emplace("--json", arguments.json_target);
  refuse_to_replace({&json}, std::array<std::filesystem::path, 2>{arguments.a, arguments.b});
  if (!arguments.phases.empty()) arguments.options.phases = phases_of_names(arguments.phases);
  const Comparison comparison = compare({arguments.a, read_record(arguments.a)},
                                        {arguments.b, read_record(arguments.b)}, arguments.options);
  if (json) json->write(to_json(comparison));
  if (!json || !json->is_stdout()) fmt::print("{}", comparison_table(comparison));
  throw_if_failed(comparison);
}

}  // namespace

void add_compare(CLI::App& app) {
  const auto arguments = std::make_shared<CompareArguments>();
  CLI::App* command = app.add_subcommand(
      "compare", "two result files: ratios B/A of the slowest rank's p50 and p99 with 95 % intervals");
  command->add_option("A", arguments->a, "result file of bench --json: the reference")->required();
  command->add_option("B", arguments->b, "result file that is held against it")->required();
  command->add_option("--phase", arguments->phases,
                      "phases to compare (default: dispatch_combine dispatch combine)");
  command->add_option("--fail-above", arguments->options.fail_above,
                      "exit code 1 where the whole interval of a p50 ratio lies above this limit, e.g. 1.05");
  command->add_flag("--allow-different-routing", arguments->options.allow_different_routing,
                    "compare rounds of different routing digests, and runs of different shapes");
  command->add_option("--json", arguments->json_target, "the comparison as JSON; - for standard output");
  command->callback([arguments] { run_compare(*arguments); });
}

}  // namespace epskew::app
