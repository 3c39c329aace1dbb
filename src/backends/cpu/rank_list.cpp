#include "backends/cpu/rank_list.hpp"

#include <fmt/format.h>

namespace epskew::cpu {

std::string rank_list(std::span<const int> ranks) {
  std::string list;
  for (std::size_t first = 0; first < ranks.size();) {
    std::size_t last = first;
    while (last + 1 < ranks.size() && ranks[last + 1] == ranks[last] + 1) ++last;
    const bool is_run = last >= first + 2;
    if (!list.empty()) list += ", ";
    list += is_run ? fmt::format("{}-{}", ranks[first], ranks[last]) : std::to_string(ranks[first]);
    first = is_run ? last + 1 : first + 1;
  }
  return list;
}

std::string name_ranks(std::span<const int> ranks) {
  return (ranks.size() == 1 ? "rank " : "ranks ") + rank_list(ranks);
}

}  // namespace epskew::cpu
