#pragma once

#include <span>
#include <string>

namespace epskew::cpu {

/// "0, 2, 4-7" for ascending ranks: runs of three or more are drawn together.
std::string rank_list(std::span<const int> ranks);

/// "rank 3" or "ranks 0, 2, 4-7".
std::string name_ranks(std::span<const int> ranks);

}  // namespace epskew::cpu
