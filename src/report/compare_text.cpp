#include <fmt/format.h>
#include <fmt/ranges.h>

#include <nlohmann/json.hpp>

#include "epskew/report/compare.hpp"
#include "epskew/support/json_file.hpp"
#include "report/text_table.hpp"

namespace epskew {
namespace {

using nlohmann::json;

std::string time_text(const std::optional<double>& us) {
  return us ? fmt::format("{:.1f}", *us) : "-";
}

std::string ratio_text(const ComparedStatistic& statistic) {
  if (!statistic.ratio) return "-";
  return fmt::format("{:.3f} ({:.3f}-{:.3f})", statistic.ratio->ratio, statistic.ratio->low,
                     statistic.ratio->high);
}

void add_row(TextTable& table, const std::string& name, const ComparedStatistic& statistic) {
  table.row({"  " + name, time_text(statistic.a_us), time_text(statistic.b_us), ratio_text(statistic),
             std::string(text_of(statistic.reading()))});
}

json statistic_json(const ComparedStatistic& statistic) {
  json out = {{"a_us", nullptr}, {"b_us", nullptr}, {"ratio", nullptr},
              {"low", nullptr},  {"high", nullptr}, {"reading", text_of(statistic.reading())}};
  if (statistic.a_us) out["a_us"] = *statistic.a_us;
  if (statistic.b_us) out["b_us"] = *statistic.b_us;
  if (statistic.ratio) {
    out["ratio"] = statistic.ratio->ratio;
    out["low"] = statistic.ratio->low;
    out["high"] = statistic.ratio->high;
  }
  return out;
}

}  // namespace

std::string comparison_table(const Comparison& comparison) {
  TextTable table({"slowest rank", "A us", "B us", "B/A (95 %)", "reading"});
  const std::string* round = nullptr;
  for (const ComparedPhase& row : comparison.phases) {
    if (!round || *round != row.round)
      table.heading(fmt::format("round {}{}", row.round, row.same_routing ? "" : " (other routing)"));
    round = &row.round;
    add_row(table, fmt::format("{} p50", name_of(row.phase)), row.p50);
    add_row(table, fmt::format("{} p99", name_of(row.phase)), row.p99);
  }
  std::string out = fmt::format("A: {}\nB: {}\n", comparison.a, comparison.b);
  for (const std::string& difference : comparison.differences) out += "A and B differ: " + difference + "\n";
  for (const std::string& warning : comparison.warnings) out += "warning: " + warning + "\n";
  out += '\n';
  out += table.render();
  for (const std::string& what : comparison.left_out) out += "left out: " + what + "\n";
  if (!comparison.fail_above) return out;
  const auto failures = comparison.failures();
  return out + fmt::format("\n{} of {} medians are above {} as a whole interval\n", failures.size(),
                           comparison.phases.size(), *comparison.fail_above);
}

std::string to_json(const Comparison& comparison) {
  json rows = json::array();
  for (const ComparedPhase& row : comparison.phases) {
    rows.push_back({{"round", row.round},
                    {"phase", name_of(row.phase)},
                    {"same_routing", row.same_routing},
                    {"p50", statistic_json(row.p50)},
                    {"p99", statistic_json(row.p99)}});
  }
  json out = {{"schema_version", "1.1.0"},
              {"a", comparison.a},
              {"b", comparison.b},
              {"differences", comparison.differences},
              {"warnings", comparison.warnings},
              {"left_out", comparison.left_out},
              {"fail_above", nullptr},
              {"failed", !comparison.failures().empty()},
              {"phases", rows}};
  if (comparison.fail_above) out["fail_above"] = *comparison.fail_above;
  return dump_json(out, 1) + "\n";
}

}  // namespace epskew
