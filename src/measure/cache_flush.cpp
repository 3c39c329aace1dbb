#include "measure/cache_flush.hpp"

#include <sched.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>

namespace epskew {
namespace {

constexpr std::int64_t smallest_share = std::int64_t{2} << 20;
constexpr std::int64_t largest_total = std::int64_t{256} << 20;
// Where the kernel does not tell: larger than the private caches of current cores.
constexpr std::int64_t assumed_cache = std::int64_t{32} << 20;

std::string first_word(const std::filesystem::path& file) {
  std::ifstream in(file);
  std::string word;
  in >> word;
  return word;
}

// "32768K" → bytes.
std::int64_t parse_size(const std::string& text) {
  if (text.empty()) return 0;
  const std::int64_t number = std::strtoll(text.c_str(), nullptr, 10);
  return text.back() == 'K' ? number << 10 : text.back() == 'M' ? number << 20 : number;
}

// The folder of the highest cache level of a core; empty where there is none.
std::filesystem::path last_cache(int core) {
  const auto folder = std::filesystem::path("/sys/devices/system/cpu/cpu" + std::to_string(core)) / "cache";
  std::filesystem::path last;
  int highest = 0;
  for (int index = 0; std::filesystem::exists(folder / ("index" + std::to_string(index))); ++index) {
    const auto cache = folder / ("index" + std::to_string(index));
    const int level = std::atoi(first_word(cache / "level").c_str());
    if (level > highest && first_word(cache / "type") != "Instruction") {
      highest = level;
      last = cache;
    }
  }
  return last;
}

}  // namespace

std::int64_t last_level_cache_bytes() {
  cpu_set_t usable;
  CPU_ZERO(&usable);
  if (::sched_getaffinity(0, sizeof usable, &usable) != 0) return 0;
  std::set<std::string> seen;  // caches are told apart by the cores that share them
  std::int64_t total = 0;
  for (int core = 0; core < CPU_SETSIZE; ++core) {
    if (!CPU_ISSET(core, &usable)) continue;
    const auto cache = last_cache(core);
    if (cache.empty() || !seen.insert(first_word(cache / "shared_cpu_list")).second) continue;
    total += parse_size(first_word(cache / "size"));
  }
  return total;
}

CacheFlush::CacheFlush(std::int64_t cache_bytes, double share) {
  const std::int64_t total = std::min(cache_bytes > 0 ? cache_bytes : assumed_cache, largest_total);
  const auto mine = std::max(static_cast<std::int64_t>(static_cast<double>(total) * share), smallest_share);
  buffer_.resize(static_cast<std::size_t>(mine) / sizeof(std::uint64_t));
}

void CacheFlush::flush() {
  std::fill(buffer_.begin(), buffer_.end(), ++pass_);
  // The values are never read; without this the stores could be dropped.
  asm volatile("" : : "r"(buffer_.data()) : "memory");
}

}  // namespace epskew
