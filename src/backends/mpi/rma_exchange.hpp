#pragma once

/// One-sided: one contiguous put per destination, then a flag; targets are passive and watch their own
/// memory.
///
/// A token travels once to every rank that has an expert of it. Flags carry the number of the operation, so
/// they are never cleared; why one buffer per micro-batch is enough is argued in docs/mpi.md.

#include "backends/mpi/block_receiver.hpp"
#include "backends/mpi/block_sender.hpp"
#include "backends/mpi/mpi_exchange.hpp"
#include "backends/mpi/selection_order.hpp"
#include "backends/mpi/window.hpp"

namespace epskew::mpi {

class RmaExchange final : public MpiExchange {
 public:
  explicit RmaExchange(const Setting& setting);

  void dispatch_send(int batch) override;
  void dispatch_recv(int batch) override;
  void combine_send(int batch) override;
  void combine_recv(int batch) override;
  DispatchOutput dispatch_output(int local, int batch) override;
  std::span<BFloat16> expert_output(int local, int batch) override;
  std::span<const BFloat16> combine_output(int local, int batch) override;
  MemoryUse memory(int local) const override;
  WireCopies copies() override { return {Copies::messages, Copies::selections}; }

 private:
  enum class Flag { dispatch, combine };
  struct Batch {
    Batch(const ExchangeShape& shape, WireRow& wire, const std::vector<int>& destinations, int rank)
        : sender(shape, wire, destinations), receiver(shape, wire, rank) {}
    std::uint64_t operation = 0;
    SelectionOrder order;  ///< by destination rank
    BlockSender sender;
    BlockReceiver receiver;
    std::vector<std::byte> results;
    std::vector<BFloat16> combined;
    std::size_t window_bytes = 0;  ///< most bytes of the window that an operation wrote
  };
  /// Offsets in every process's window.
  struct Layout {
    std::size_t flags = 0;    ///< [2][R] words, a cache line apart
    std::size_t blocks = 0;   ///< [R] blocks of M messages
    std::size_t results = 0;  ///< [M·K] places of a ResultRow
    std::size_t block_bytes = 0;
    std::size_t batch_bytes = 0;
  };
  Layout make_layout() const;
  Batch& at(int batch) { return batches_[static_cast<std::size_t>(batch)]; }
  std::size_t base(int batch) const { return static_cast<std::size_t>(batch) * layout_.batch_bytes; }
  std::size_t flag_offset(int batch, Flag flag, int source) const;
  /// The `turn`-th peer: everybody begins with its neighbour, so that no rank is everybody's first.
  int peer(int turn) const { return (rank() + 1 + turn) % num_ranks(); }
  void raise_flags(int batch, Flag flag);
  void await_flags(int batch, Flag flag);

  std::vector<int> destinations_;  ///< [R]: every rank is one
  ExpertGroups groups_;
  std::vector<Batch> batches_;
  Layout layout_;
  Window window_;
};

}  // namespace epskew::mpi
