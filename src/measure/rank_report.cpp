#include "measure/rank_report.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>

#include "epskew/support/error.hpp"

namespace epskew {
namespace {

template <class T>
void put(std::string& bytes, const std::vector<T>& items) {
  static_assert(std::is_trivially_copyable_v<T>);
  const std::uint64_t count = items.size();
  bytes.append(reinterpret_cast<const char*>(&count), sizeof count);
  bytes.append(reinterpret_cast<const char*>(items.data()), count * sizeof(T));
}

class Reader {
 public:
  explicit Reader(std::string_view bytes) : bytes_(bytes) {}

  template <class T>
  void get(std::vector<T>& items) {
    std::uint64_t count = 0;
    take(&count, sizeof count);
    if (count > bytes_.size() / sizeof(T)) fail();
    items.resize(count);
    take(items.data(), count * sizeof(T));
  }
  bool at_end() const { return bytes_.empty(); }
  [[noreturn]] static void fail() {
    throw EnvironmentError("a rank's report is damaged (its length does not fit its contents)");
  }

 private:
  void take(void* to, std::size_t count) {
    if (count > bytes_.size()) fail();
    if (count != 0) std::memcpy(to, bytes_.data(), count);
    bytes_.remove_prefix(count);
  }
  std::string_view bytes_;
};

[[noreturn]] void inconsistent(const std::string& what) {
  throw EnvironmentError("the ranks' reports do not fit together (" + what + ")");
}

constexpr double missing = std::numeric_limits<double>::quiet_NaN();

std::size_t iterations_of(const RankReport& report, std::size_t mode) {
  return report.ranks.empty() ? 0 : report.samples[mode].size() / report.ranks.size();
}

void check_coverage(const std::vector<RankReport>& reports, int num_ranks) {
  std::vector<int> seen;
  for (const RankReport& report : reports) {
    seen.insert(seen.end(), report.ranks.begin(), report.ranks.end());
    if (report.memory.size() != report.ranks.size()) inconsistent("memory of other ranks than were measured");
    for (std::size_t mode = 0; mode < report.samples.size(); ++mode) {
      if (iterations_of(report, mode) != iterations_of(reports.front(), mode))
        inconsistent("numbers of iterations differ");
    }
  }
  std::sort(seen.begin(), seen.end());
  bool once = seen.size() == static_cast<std::size_t>(num_ranks);
  for (std::size_t rank = 0; once && rank < seen.size(); ++rank) once = seen[rank] == static_cast<int>(rank);
  if (!once) inconsistent("not every rank reported once");
}

// One value of every sample of a mode as a matrix. `value` takes an IterationSample.
template <class Value>
SampleMatrix gather(const std::vector<RankReport>& reports, int num_ranks, std::size_t mode, Value value) {
  const std::size_t iterations = iterations_of(reports.front(), mode);
  SampleMatrix matrix{num_ranks,
                      std::vector<double>(iterations * static_cast<std::size_t>(num_ranks), missing)};
  for (const RankReport& report : reports) {
    const std::size_t locals = report.ranks.size();
    for (std::size_t i = 0; i < iterations * locals; ++i) {
      const std::size_t rank = static_cast<std::size_t>(report.ranks[i % locals]);
      matrix.us[i / locals * static_cast<std::size_t>(num_ranks) + rank] = value(report.samples[mode][i]);
    }
  }
  return matrix;
}

SampleMatrix gather_phase(const std::vector<RankReport>& reports, int num_ranks, std::size_t mode,
                          Phase phase) {
  SampleMatrix matrix = gather(reports, num_ranks, mode, [phase](const IterationSample& sample) {
    return sample.us[static_cast<std::size_t>(phase)];
  });
  const auto missed =
      std::count_if(matrix.us.begin(), matrix.us.end(), [](double x) { return !std::isfinite(x); });
  if (missed == 0) return matrix;
  if (missed == static_cast<std::ptrdiff_t>(matrix.us.size())) return {};
  inconsistent("phase " + std::string(name_of(phase)) + " was measured in some iterations only");
}

}  // namespace

std::string encode(const RankReport& report) {
  std::string bytes;
  put(bytes, report.ranks);
  put(bytes, std::vector<std::int64_t>{report.flush_bytes});
  for (const auto& samples : report.samples) put(bytes, samples);
  put(bytes, report.memory);
  return bytes;
}

RankReport decode(std::string_view bytes) {
  Reader reader(bytes);
  RankReport report;
  std::vector<std::int64_t> flushed;
  reader.get(report.ranks);
  reader.get(flushed);
  for (auto& samples : report.samples) reader.get(samples);
  reader.get(report.memory);
  if (!reader.at_end() || flushed.size() != 1) Reader::fail();
  report.flush_bytes = flushed.front();
  return report;
}

RoundResult merge(const std::vector<RankReport>& reports, int num_ranks) {
  check_coverage(reports, num_ranks);
  RoundResult result;
  result.misalignment.num_ranks = num_ranks;
  for (std::size_t mode = 0; mode < all_timing_modes.size(); ++mode) {
    for (const Phase phase : phases_of(all_timing_modes[mode])) {
      result.phases[static_cast<std::size_t>(phase)] = gather_phase(reports, num_ranks, mode, phase);
    }
    const auto starts = gather(reports, num_ranks, mode,
                               [](const IterationSample& sample) { return sample.misalignment_us; });
    result.misalignment.us.insert(result.misalignment.us.end(), starts.us.begin(), starts.us.end());
  }
  result.memory.resize(static_cast<std::size_t>(num_ranks));
  for (const RankReport& report : reports) {
    result.flush_bytes += report.flush_bytes;
    for (std::size_t i = 0; i < report.ranks.size(); ++i) {
      result.memory[static_cast<std::size_t>(report.ranks[i])] = report.memory[i];
    }
  }
  return result;
}

}  // namespace epskew
