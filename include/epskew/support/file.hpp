#pragma once

/// Whole files, with the mistakes users make told apart. For writing see output_file.hpp.

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace epskew {

/// Files above this size are refused before a byte of them is read, unless a caller sets its own limit.
inline constexpr std::uint64_t default_max_file_bytes = std::uint64_t{4} << 30;

/// The bytes of a regular file. Throws UsageError, naming the file, where it is missing, a folder, no regular
/// file, unreadable, empty, larger than `max_bytes`, or a Git-LFS pointer in place of the data.
std::string read_file(const std::filesystem::path& path, std::uint64_t max_bytes = default_max_file_bytes);

/// The regular files of a folder, links to such included, in the order of their names. Throws UsageError
/// where it cannot be read.
std::vector<std::filesystem::path> files_in(const std::filesystem::path& folder);

}  // namespace epskew
