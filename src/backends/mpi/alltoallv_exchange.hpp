#pragma once

/// Counts by MPI_Ialltoall, then data by MPI_Ialltoallv: what a user of MPI writes, one message a selection.

#include "backends/mpi/mpi_exchange.hpp"
#include "backends/mpi/received.hpp"
#include "backends/mpi/selection_order.hpp"

namespace epskew::mpi {

class AlltoallvExchange final : public MpiExchange {
 public:
  explicit AlltoallvExchange(const Setting& setting);
  ~AlltoallvExchange() override;

  void dispatch_send(int batch) override;
  void dispatch_recv(int batch) override;
  void combine_send(int batch) override;
  void combine_recv(int batch) override;
  DispatchOutput dispatch_output(int local, int batch) override;
  std::span<BFloat16> expert_output(int local, int batch) override;
  std::span<const BFloat16> combine_output(int local, int batch) override;
  MemoryUse memory(int local) const override;

 private:
  /// Counts and displacements of one direction, in messages or in lines of results.
  struct Blocks {
    std::vector<int> count, begin;  ///< [R]
    int total() const { return begin.back() + count.back(); }
  };
  struct Batch {
    explicit Batch(const ExchangeShape& shape) : received(shape) {}
    SelectionOrder order;                ///< by expert
    std::vector<std::int32_t> sent;      ///< [R][L] counts of this rank's tokens, by destination
    std::vector<std::int32_t> arriving;  ///< [R][L] counts for this rank's experts, by source
    Blocks to, from;                     ///< by destination, by source
    Blocks results_to, results_from;     ///< lines, by who gets them, by whose experts they are of
    std::vector<std::byte> send_buffer, receive_buffer;
    std::vector<std::byte> results, returned;
    std::vector<BFloat16> combined;
    Received received;
    MPI_Request request = MPI_REQUEST_NULL;
  };
  Batch& at(int batch) { return batches_[static_cast<std::size_t>(batch)]; }
  /// One end of an exchange of everyone with everyone.
  struct Side {
    std::byte* data;
    const Blocks& blocks;
  };
  void start_alltoallv(const Side& to, const Side& from, MPI_Datatype type, MPI_Request& request) const;
  void start_alltoall(const void* to, void* from, int ints, MPI_Request& request) const;
  Blocks blocks_of(const std::vector<std::int32_t>& counts) const;
  static Blocks one_behind_the_other(std::vector<int> counts);
  void pack_results(Batch& state);
  void agree_on_lines(Batch& state);
  void pack(Batch& state, int batch);
  void unpack(Batch& state);
  std::size_t message_bytes() const { return wire().stride + token_bytes; }

  /// The token index travels behind its row; 16 bytes keep the next row aligned.
  static constexpr std::size_t token_bytes = 16;
  std::vector<Batch> batches_;
  ExpertGroups groups_;
  MPI_Datatype message_type_ = MPI_DATATYPE_NULL;
  MPI_Datatype line_type_ = MPI_DATATYPE_NULL;  ///< of results
};

}  // namespace epskew::mpi
