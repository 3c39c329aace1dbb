#pragma once

/// Two result files held against each other, round by round.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "epskew/exchange/phase.hpp"
#include "epskew/measure/statistics.hpp"
#include "epskew/report/named_record.hpp"

namespace epskew {

struct CompareOptions {
  std::vector<Phase> phases = {Phase::dispatch_combine, Phase::dispatch, Phase::combine};
  /// Also compare rounds of different routing, and runs of different shape.
  bool allow_different_routing = false;
  /// Comparison::failures() holds the p50 ratios whose whole interval lies above. At least 1.
  std::optional<double> fail_above;
};

/// What the interval of a ratio B/A lets one say.
enum class Reading { slower, faster, no_difference, too_few_samples };
/// "B slower", "B faster", "no difference seen", "too few samples".
std::string_view text_of(Reading reading);

/// One statistic of the slowest rank, microseconds.
struct ComparedStatistic {
  std::optional<double> a_us;
  std::optional<double> b_us;
  std::optional<RatioInterval> ratio;  ///< B / A with its 95 % interval
  Reading reading() const;
};

struct ComparedPhase {
  std::string round;
  Phase phase = Phase::dispatch_combine;
  bool same_routing = true;
  ComparedStatistic p50;
  ComparedStatistic p99;
};

struct Comparison {
  std::string a;  ///< names
  std::string b;
  std::optional<double> fail_above;
  std::vector<ComparedPhase> phases;  ///< by round in the order of A, then by phase
  std::vector<std::string>
      differences;                    ///< of the two runs' settings and machines, "backend: cpu against mpi"
  std::vector<std::string> warnings;  ///< what the intervals do not tell, in words
  std::vector<std::string> left_out;  ///< what only one of the results has, in words
  /// The rows whose p50 interval lies above fail_above as a whole: slower by more than chance explains.
  std::vector<const ComparedPhase*> failures() const;
};

/// Rounds are matched by label. Throws UsageError where the oracle found a wrong result in either, where the
/// shapes or the routing of a round differ (unless allowed), where nothing can be compared, and, with
/// fail_above, where a round or phase of A has no counterpart in B, too few samples, or was not checked by
/// the oracle: a gate must not pass by measuring less.
Comparison compare(const NamedRecord& a, const NamedRecord& b, const CompareOptions& options);

/// The table for a terminal, ending in a newline.
std::string comparison_table(const Comparison& comparison);
/// schema/compare.schema.json.
std::string to_json(const Comparison& comparison);

}  // namespace epskew
