#pragma once

/// Cold caches before an iteration, as a decode step finds them after the layers in between.

#include <cstdint>
#include <vector>

namespace epskew {

/// Bytes of all last-level caches that this process may run on, by what the kernel says; 0 where it does not
/// say.
std::int64_t last_level_cache_bytes();

/// Fills the caches with memory of its own.
///
/// One pass writes this process's share of the machine's last-level cache, so that all processes together
/// write it once, whatever their number: with many ranks on few cores a pass over all of it in every process
/// would cost more than the exchange. A share covers at least a private cache (2 MiB), and together at most
/// 256 MiB are written.
class CacheFlush {
 public:
  /// `share` in (0, 1]: the part of the world's ranks that this process hosts.
  CacheFlush(std::int64_t cache_bytes, double share);

  std::int64_t bytes() const { return static_cast<std::int64_t>(buffer_.size() * sizeof(std::uint64_t)); }
  void flush();

 private:
  std::vector<std::uint64_t> buffer_;
  std::uint64_t pass_ = 0;
};

}  // namespace epskew
