#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

namespace epskew {

/// Selections from every source rank (rows) to every destination rank (columns): [num_ranks][num_ranks], from
/// a CSV file (a line a source; `#` comments) or a .npy array of whole numbers. Throws UsageError for another
/// size and negative entries.
std::vector<std::int64_t> read_matrix(const std::filesystem::path& path, int num_ranks);

}  // namespace epskew
