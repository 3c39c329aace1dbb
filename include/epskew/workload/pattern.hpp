#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "epskew/workload/spec.hpp"

namespace epskew {

/// As on the command line and in records: "none", "hot-rank", "k-hot", "rotating", "burst", "matrix",
/// "skew-in-nodes", "skew-across-nodes".
std::string_view name_of(Pattern pattern);
/// nullopt for an unknown name.
std::optional<Pattern> find_pattern(std::string_view name);
/// "none, hot-rank, …" for messages.
std::string pattern_names();

/// Whether the pattern makes a rank hot by WorkloadSpec::factor; k_hot and matrix decide their loads
/// themselves.
bool takes_factor(Pattern pattern);
/// Whether the routing differs with WorkloadSpec::step.
bool has_steps(Pattern pattern);
/// Whether the spec's step is one of the balanced ones of a burst, whatever its factor.
bool is_cold_step(const WorkloadSpec& spec);

}  // namespace epskew
