#include "phase_names.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "epskew/support/error.hpp"

namespace epskew::app {

std::vector<Phase> phases_of_names(const std::vector<std::string>& names) {
  std::vector<Phase> phases;
  for (const std::string& name : names) {
    const auto known = all_phases();
    const auto found =
        std::find_if(known.begin(), known.end(), [&](Phase phase) { return name_of(phase) == name; });
    if (found == known.end()) {
      std::string all;
      for (const Phase phase : known) all += (all.empty() ? "" : ", ") + std::string(name_of(phase));
      throw UsageError(
          fmt::format("--phase {} is unknown (there is no such phase); choose from {}", name, all));
    }
    phases.push_back(*found);
  }
  return phases;
}

}  // namespace epskew::app
