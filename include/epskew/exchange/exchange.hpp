#pragma once

/// The one interface of all backends.
///
/// An Exchange is this process's part of a world of ranks: it hosts one or more *local* ranks (one for CPU and MPI
/// processes, all of them for the reference and for one GPU that plays several ranks). Each phase call does that
/// phase for every local rank; all processes of the world make the same calls in the same order.
///
/// Semantics are DeepEP's low-latency mode: see docs/protocol.md. An operation is
///   dispatch_send → dispatch_recv → (experts write expert_output) → combine_send → combine_recv
/// for one micro-batch. Up to options().micro_batches operations may be in flight; a phase of micro-batch b refers to
/// b's latest operation. Every wait has options().timeout and then throws RankLost naming who waited for whom.

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "epskew/exchange/phase.hpp"
#include "epskew/exchange/shape.hpp"
#include "epskew/support/bfloat16.hpp"

namespace epskew {

/// What one rank sends. Borrowed from set_input until the operation's combine_recv has returned.
struct RankInput {
  std::span<const BFloat16> x;               ///< [T][H]
  std::span<const std::int32_t> topk_idx;    ///< [T][K]; -1 = no selection
  std::span<const float> topk_weights;       ///< [T][K]; ignored where topk_idx is -1
};

/// Rows [begin, begin + count) of a dispatch output.
struct RowRange {
  std::int32_t begin = 0;
  std::int32_t count = 0;
  friend bool operator==(const RowRange&, const RowRange&) = default;
};

/// What one rank received, as host memory. Rows are grouped by local expert; expert e owns the rows
/// [expert_begin[e], expert_begin[e+1]) and within it the rows from one source rank are contiguous.
///
/// This is DeepEP's `[L, R·M, H]` without the holes: since counts travel first, expert segments are packed, and memory
/// is bounded by R·M·min(K, L) rows instead of L·R·M.
struct DispatchOutput {
  DispatchFormat format = DispatchFormat::bf16;
  std::span<const std::byte> rows;              ///< [num_rows][row_bytes(format, hidden)]
  std::span<const float> scales;                ///< [num_rows][H/128], formats fp8 and fp8_pow2; else empty
  std::span<const std::uint8_t> scale_bytes;    ///< [num_rows][H/128] exponent bytes, format fp8_ue8m0; else empty
  std::span<const std::int32_t> expert_begin;   ///< [L+1]
  std::span<const RowRange> source_range;       ///< [L][R], absolute rows
  std::span<const std::int32_t> source_token;   ///< [num_rows], token index on its source rank
  /// Rank-major variants only: where row i's payload and scales lie within `rows` and the scales, which then hold each
  /// token once however many of this rank's experts it visits. Empty: row i lies at i.
  std::span<const std::int32_t> storage_row = {};
  std::int64_t num_rows() const { return expert_begin.empty() ? 0 : expert_begin.back(); }
  std::int64_t storage(std::int64_t row) const {
    return storage_row.empty() ? row : storage_row[static_cast<std::size_t>(row)];
  }
};

/// What a rank has seen so far, over all operations. A span is empty where the backend does not keep the figure.
struct ReceiveStatistics {
  std::span<const std::int64_t> expert_rows = {};  ///< [L] rows received per local expert, for load balancers
  std::span<const double> dispatch_wait_us = {};   ///< [R] from the start of dispatch_recv to that source's arrival
  std::span<const double> combine_wait_us = {};    ///< [R] the same for combine_recv
};

/// Bytes of one rank's exchange memory.
struct MemoryUse {
  std::int64_t reserved = 0;  ///< address space set aside for the worst case
  std::int64_t touched = 0;   ///< pages that hold data so far
  /// Received rows and expert outputs where they are apart from what ranks exchange through, as DeepEP's tensors
  /// are apart from its buffer; 0 where they are part of `reserved`.
  std::int64_t tensors = 0;
};

class Exchange {
 public:
  virtual ~Exchange() = default;
  /// False where rows hold no data because a simulator folds the memory of the payload: no oracle can look then.
  virtual bool holds_data() const { return true; }

  virtual const ExchangeShape& shape() const = 0;
  virtual const ExchangeOptions& options() const = 0;
  /// World ranks hosted by this process, ascending. `local` arguments below are indexes into this.
  virtual std::span<const int> local_ranks() const = 0;

  virtual void set_input(int local, int batch, const RankInput& input) = 0;

  virtual void dispatch_send(int batch) = 0;
  virtual void dispatch_recv(int batch) = 0;
  virtual void combine_send(int batch) = 0;
  virtual void combine_recv(int batch) = 0;
  /// Send and receive in one call; a backend may fuse them.
  virtual void dispatch(int batch);
  virtual void combine(int batch);

  /// The latest dispatch of `batch`. Valid until that micro-batch's next dispatch_send. A device backend copies here.
  virtual DispatchOutput dispatch_output(int local, int batch) = 0;
  /// Where the experts' results of the latest dispatch go: [num_rows][H], rows as in dispatch_output. Contents persist
  /// in each of the backend's buffer sets until overwritten here.
  virtual std::span<BFloat16> expert_output(int local, int batch) = 0;
  /// Makes expert_output visible to combine_send (a device backend uploads here).
  virtual void commit_expert_output(int /*local*/, int /*batch*/) {}
  /// The latest combine: [T][H], f32 accumulation over the selections in top-k order, rounded once to bf16, or what
  /// combine_rounding() says instead.
  virtual std::span<const BFloat16> combine_output(int local, int batch) = 0;

  /// Waits until every rank of the world has arrived.
  virtual void align() = 0;
  /// One timed iteration of micro-batch 0 for every local rank. The default reads steady_clock around the phase calls.
  virtual void measure(TimingMode mode, std::span<IterationSample> samples);

  /// Bytes that measure() itself touches before an iteration to empty the caches it uses; 0 where it leaves that
  /// to the caller, who then empties the host's.
  virtual std::int64_t own_flush_bytes() const { return 0; }

  /// How combine_output is summed; a backend that chooses by itself says what it chose.
  virtual CombineRounding combine_rounding() const { return rounding_of(options()); }

  virtual MemoryUse memory(int local) const = 0;
  virtual ReceiveStatistics statistics(int /*local*/) const { return {}; }
  /// [R] 1: that rank had no part, or not its whole part, in the latest operation of `batch` as this rank saw it; its
  /// selections count as masked. Empty where ranks are never left out. See ExchangeOptions::shrink.
  virtual std::span<const std::uint8_t> lost_ranks(int /*local*/, int /*batch*/) const { return {}; }
  /// Test aid: from now on this local rank takes no part, as if its process had died. The default throws UsageError:
  /// where ranks are processes, end the process.
  virtual void stop_rank(int local);

 protected:
  /// The smallest of `mine_ns` over the world, collectively: turns start stamps into misalignments. The default is for
  /// backends whose ranks all live in this process.
  virtual std::int64_t earliest(std::int64_t mine_ns);
};

}  // namespace epskew
