#include <fmt/format.h>

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "command.hpp"
#include "epskew/report/html.hpp"
#include "epskew/report/json.hpp"
#include "epskew/support/error.hpp"
#include "epskew/support/output_file.hpp"

namespace epskew::app {
namespace {

struct ReportArguments {
  std::vector<std::string> results;
  std::string output;
};

/// File names without folder and extension, or the paths themselves where those would not tell the files
/// apart.
std::vector<std::string> short_names(const std::vector<std::string>& paths) {
  std::vector<std::string> names;
  for (const std::string& path : paths) {
    const std::string name = std::filesystem::path(path).stem().string();
    for (const std::string& other : names) {
      if (other == name) return paths;
    }
    names.push_back(name);
  }
  return names;
}

void refuse_repeated(const std::vector<std::string>& results) {
  for (std::size_t i = 0; i < results.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      std::error_code not_both_there;
      if (!std::filesystem::equivalent(results[i], results[j], not_both_there)) continue;
      throw UsageError(fmt::format(
          "{} is given twice (a result held against itself shows nothing); name it once", results[i]));
    }
  }
}

void write_report(const ReportArguments& arguments) {
  const std::optional<OutputFile> output(std::in_place, "-o", arguments.output);
  refuse_to_replace({&output},
                    std::vector<std::filesystem::path>(arguments.results.begin(), arguments.results.end()));
  refuse_repeated(arguments.results);
  const std::vector<std::string> names = short_names(arguments.results);
  std::vector<NamedRecord> results;
  for (std::size_t i = 0; i < names.size(); ++i)
    results.push_back({names[i], read_record(arguments.results[i])});
  output->write(report_page(results));
}

}  // namespace

void add_report(CLI::App& app) {
  const auto arguments = std::make_shared<ReportArguments>();
  CLI::App* command =
      app.add_subcommand("report", "one self-contained HTML page from result files of bench --json");
  command->add_option("RESULT", arguments->results, "result files; several are drawn over one another")
      ->required();
  command->add_option("-o,--output", arguments->output, "the page; - for standard output")->required();
  command->callback([arguments] { write_report(*arguments); });
}

}  // namespace epskew::app
