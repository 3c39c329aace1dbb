#include "epskew/trace/matrix_file.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string>

#include "epskew/support/error.hpp"
#include "epskew/support/file.hpp"
#include "epskew/support/npy.hpp"
#include "trace/limits.hpp"
#include "trace/lines.hpp"
#include "trace/numbers.hpp"

namespace epskew {
namespace {

[[noreturn]] void wrong_shape(const std::string& place, const std::string& has, int num_ranks) {
  throw UsageError(
      fmt::format("{} has {} ({} by {} was expected, a row a source rank, a column a destination rank); give "
                  "one entry a pair of ranks",
                  place, has, num_ranks, num_ranks));
}

std::vector<std::int64_t> parse_csv_matrix(std::string_view text, const std::string& name, int num_ranks) {
  std::vector<std::int64_t> matrix;
  std::int64_t rows = 0;
  for_each_line(text, [&](std::string_view line, std::int64_t number) {
    line = trimmed(line);
    if (line.empty() || line.front() == '#') return;
    const Where where{name, "line", number};
    const auto columns = 1 + std::count(line.begin(), line.end(), ',');
    if (columns != num_ranks) wrong_shape(where.text(), fmt::format("{} entries", columns), num_ranks);
    while (!line.empty())
      matrix.push_back(
          parse_number<std::int64_t>(trimmed(take_field(line, ',')), "a number of selections", where));
    ++rows;
  });
  if (rows != num_ranks) wrong_shape(name, fmt::format("{} lines of numbers", rows), num_ranks);
  if (matrix.size() != static_cast<std::size_t>(num_ranks) * static_cast<std::size_t>(num_ranks))
    wrong_shape(name, "an empty last entry", num_ranks);
  return matrix;
}

std::vector<std::int64_t> parse_npy_matrix(std::string_view bytes, const std::string& name, int num_ranks) {
  const TensorView array = parse_npy(bytes, name);
  if (array.shape != std::vector<std::int64_t>{num_ranks, num_ranks})
    wrong_shape(name, "shape " + to_string(array.shape), num_ranks);
  return to_int64(array, name);
}

}  // namespace

std::vector<std::int64_t> read_matrix(const std::filesystem::path& path, int num_ranks) {
  const std::string bytes = read_file(path);
  const std::string name = path.string();
  std::vector<std::int64_t> matrix = looks_like_npy(bytes) ? parse_npy_matrix(bytes, name, num_ranks)
                                                           : parse_csv_matrix(bytes, name, num_ranks);
  for (const std::int64_t entry : matrix) {
    if (entry < 0 || entry > max_count)
      throw UsageError(
          fmt::format("{} holds {} (0 to {} selections are possible); correct it", name, entry, max_count));
  }
  return matrix;
}

}  // namespace epskew
