#include <fmt/format.h>
#include <fmt/ranges.h>

#include <nlohmann/json.hpp>

#include "epskew/report/compare.hpp"
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
  TextTable table({"round, phase", "A p50 us", "B p50 us", "B/A (95 %)", "reading", "A p99 us", "B p99 us",
                   "B/A (95 %)", "reading"});
  table.group("slowest rank, median", 1, 4);
  table.group("slowest rank, p99", 5, 4);
  for (const ComparedPhase& row : comparison.phases) {
    table.row(
        {fmt::format("{}, {}{}", row.round, name_of(row.phase), row.same_routing ? "" : " (other routing)"),
         time_text(row.p50.a_us), time_text(row.p50.b_us), ratio_text(row.p50),
         std::string(text_of(row.p50.reading())), time_text(row.p99.a_us), time_text(row.p99.b_us),
         ratio_text(row.p99), std::string(text_of(row.p99.reading()))});
  }
  std::string out = fmt::format("A: {}\nB: {}\n", comparison.a, comparison.b);
  for (const std::string& difference : comparison.differences) out += "A and B differ: " + difference + "\n";
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
  json out = {{"schema_version", "1.0.0"},
              {"a", comparison.a},
              {"b", comparison.b},
              {"differences", comparison.differences},
              {"left_out", comparison.left_out},
              {"fail_above", nullptr},
              {"failed", !comparison.failures().empty()},
              {"phases", rows}};
  if (comparison.fail_above) out["fail_above"] = *comparison.fail_above;
  return out.dump(1) + "\n";
}

}  // namespace epskew
