#pragma once

/// The words through which ranks talk. All start as zero, only grow, and are never cleared during a run.

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

#include "backends/cpu/shared_memory.hpp"
#include "epskew/exchange/shape.hpp"

namespace epskew::cpu {

inline constexpr std::size_t cache_line = 64;
inline constexpr int max_processes = 256;

/// What a rank is doing, for reports about lost ranks.
enum class Activity : std::uint32_t {
  outside,
  dispatch_send,
  dispatch_recv,
  combine_send,
  combine_recv,
  align,
  done
};
const char* name_of(Activity activity);

/// One rank's own lines.
struct RankControl {
  alignas(cache_line)
      std::atomic<std::uint32_t> doorbell;  ///< futex word, rung by whoever wrote a flag for this rank
  std::atomic<std::uint32_t> sleeping;      ///< 1 while this rank may be in the futex
  alignas(cache_line) std::atomic<std::uint32_t> arrivals;  ///< barriers reached so far
  std::atomic<std::int64_t> stamp;                          ///< value of Exchange::earliest
  alignas(cache_line) std::atomic<std::uint32_t> activity;
  std::atomic<std::int32_t> batch;
  std::atomic<std::uint32_t> waiting;   ///< 1 while this rank waits for others
  std::atomic<std::uint32_t> progress;  ///< grows with every step of this rank, so that a stuck one shows
  alignas(cache_line) std::atomic<std::uint32_t> lost;  ///< 1: dead for certain; set by the parent alone
  std::atomic<std::uint32_t> suspected;                 ///< 1: somebody waited for it longer than the timeout
  std::array<std::atomic<std::uint64_t>, max_processes / 64>
      waited_in_vain;  ///< bit r: this rank waited for lost rank r
};

/// One writer each.
struct alignas(cache_line) Flag {
  std::atomic<std::uint64_t> word;  ///< epoch << 32 | count
};

enum class FlagKind { dispatch, combine };

/// The control memory of a world, laid out for its shape.
class Control {
 public:
  Control(const ExchangeShape& shape, const ExchangeOptions& options);
  /// The control memory of a world of another process, laid out for the same shape. See SharedMemory::path.
  Control(const ExchangeShape& shape, const ExchangeOptions& options, const std::filesystem::path& path);

  /// 0, or 1 + the first rank that gave up, or 1 + num_ranks when the parent did.
  std::atomic<std::uint32_t>& abort() const {
    return *reinterpret_cast<std::atomic<std::uint32_t>*>(memory_.data());
  }
  RankControl& rank(int rank) const { return at<RankControl>(ranks_)[rank]; }
  Flag& flag(FlagKind kind, int batch, int destination, int source) const;
  /// `parity`: the count matrix is double-buffered, see docs/protocol.md.
  Flag& counts_flag(int batch, int parity, int source) const;
  /// What row_plan.hpp counts, of `source`; valid once counts_flag carries the epoch.
  std::span<std::uint32_t> counts(int batch, int parity, int source) const;

  int num_ranks() const { return num_ranks_; }
  /// Wakes `rank` if it sleeps. Call after a flag for it was stored.
  void ring(int rank) const;
  void ring_all() const;
  SharedMemory& memory() { return memory_; }

 private:
  /// Finds the offsets; returns the bytes needed.
  std::size_t lay_out(int micro_batches);
  template <class T>
  T* at(std::size_t offset) const {
    return reinterpret_cast<T*>(memory_.data() + offset);
  }
  int num_ranks_;
  std::size_t num_counts_;
  std::size_t ranks_ = 0;
  std::size_t flags_ = 0;
  std::size_t counts_flags_ = 0;
  std::size_t counts_ = 0;
  SharedMemory memory_;
};

}  // namespace epskew::cpu
