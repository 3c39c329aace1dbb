#include "report/other_files.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "epskew/support/error.hpp"
#include "epskew/trace/recognise.hpp"

namespace epskew {
namespace {

[[noreturn]] void refuse(const std::string& source, const char* what, const char* why, const char* remedy) {
  throw UsageError(fmt::format("{} is {} ({}); {}", source, what, why, remedy));
}

constexpr const char* no_times = "it has no times";
constexpr const char* give_the_json = "give the file that bench --json wrote";

/// One object a line; a result file cut off in the middle has no whole object in its first line.
bool is_json_lines(std::string_view text) {
  const std::string_view line = text.substr(0, text.find('\n'));
  return line.starts_with('{') && nlohmann::json::accept(line);
}

}  // namespace

void refuse_other_formats(std::string_view text, const std::string& source) {
  constexpr const char* measure_it =
      "look at it with epskew inspect, or measure it with epskew bench --trace";
  if (text.empty()) return;
  if (text.starts_with("<!doctype html"))
    refuse(source, "a page", "what --html and report write, for reading", give_the_json);
  if (text.starts_with("round,target_factor,"))
    refuse(source, "the CSV of a run", "it lacks the samples", give_the_json);
  if (text.front() == '{' || text.front() == '[') {
    if (is_json_lines(text)) refuse(source, "recorded routing as JSON lines", no_times, measure_it);
    return;
  }
  const auto format = recognised(text, source);
  if (!format) return;
  switch (*format) {
    case TraceFormat::routing:
      refuse(source, "a routing file", no_times, measure_it);
    case TraceFormat::npy:
      refuse(source, "a NumPy array", no_times, measure_it);
    case TraceFormat::esft:
    case TraceFormat::csv:
    case TraceFormat::jsonl:
      refuse(source, "recorded routing", no_times, measure_it);
  }
}

void refuse_other_documents(const nlohmann::json& document, const std::string& source) {
  if (!document.is_object()) return;
  const auto is = [&](const char* member, const char* value) {
    const auto found = document.find(member);
    return found != document.end() && *found == value;
  };
  if (is("format", "epskew-law"))
    refuse(source, "a law", no_times, "measure routing of it with epskew bench --law");
  if (is("format", "epskew-placement"))
    refuse(source, "a placement", no_times, "measure it with epskew bench --placement");
  if (is("schema", "epskew-fit"))
    refuse(source, "a fit", no_times, "epskew fit --html makes its page, from the recording");
  if (is("kind", "inspection")) refuse(source, "what epskew inspect saw", no_times, give_the_json);
  if (document.contains("a") && document.contains("b") && document.contains("fail_above"))
    refuse(source, "a comparison", "it lacks the samples", "give the two files that were compared");
}

}  // namespace epskew
