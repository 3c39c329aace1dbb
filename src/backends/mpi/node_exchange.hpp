#pragma once

/// Shared memory inside a node, one message per (token, node) between nodes.
///
/// Inside a node: counts travel first, so a sender knows the final row of every token at its neighbours and
/// writes it there once; combine reads the neighbours' results where they lie. Between nodes: NodeRelay. With
/// nodes of one rank this is plain message passing, where a block travels while the next is being cast.

#include <optional>
#include <vector>

#include "backends/mpi/block_sender.hpp"
#include "backends/mpi/mpi_exchange.hpp"
#include "backends/mpi/node_relay.hpp"
#include "backends/mpi/selection_order.hpp"

namespace epskew::mpi {

class NodeExchange final : public MpiExchange {
 public:
  /// `ranks_per_node`: take parts of a machine as nodes.
  NodeExchange(const Setting& setting, std::optional<int> ranks_per_node);
  ~NodeExchange() override;

  void dispatch_send(int batch) override;
  void dispatch_recv(int batch) override;
  void combine_send(int batch) override;
  void combine_recv(int batch) override;
  DispatchOutput dispatch_output(int local, int batch) override;
  std::span<BFloat16> expert_output(int local, int batch) override;
  std::span<const BFloat16> combine_output(int local, int batch) override;
  MemoryUse memory(int local) const override;
  WireCopies copies() override;

 private:
  /// What this rank sends to another node, and what returns from there.
  struct Remote {
    std::vector<std::int32_t> counts;
    std::vector<MPI_Request> sends;
    std::vector<std::byte> results;
    std::vector<ResultRow::Part> parts;  ///< of the results
    std::vector<MPI_Request> receives;   ///< [parts]
    std::size_t num_arrived = 0;         ///< parts, in order
    std::vector<const std::byte*> rows;  ///< of the parts that have arrived
  };
  struct Batch {
    Batch(NodeExchange& exchange, int index);
    NodeBatch shared(NodeExchange& exchange, int index);
    std::uint64_t operation = 0;
    BlockSender sender;  ///< a destination is a node
    NodeRows rows;
    NodeArena arena;
    NodeRelay relay;
    SelectionOrder order;              ///< by node
    std::vector<std::int32_t> row_of;  ///< [T·K] rows at neighbours; -1 for other nodes' and masked entries
    std::vector<Remote> remotes;       ///< [nodes]; the own one stays empty
    std::vector<BFloat16> combined;
  };
  Batch& at(int batch) { return *batches_[static_cast<std::size_t>(batch)]; }
  const Topology& topology() const { return node_.topology(); }
  int my_node() const { return topology().node_of_rank[static_cast<std::size_t>(rank())]; }
  int my_member() const { return topology().member_of_rank[static_cast<std::size_t>(rank())]; }
  int num_members() const { return topology().node_size(my_node()); }
  int rank_of(std::int32_t expert) const { return expert / shape().experts_per_rank(); }

  std::vector<std::int32_t> count_tokens(int batch) const;
  void publish_counts(int batch, const std::vector<std::int32_t>& counts);
  void send_to_nodes(int batch, const std::vector<std::int32_t>& counts);
  void send_block(int batch, int node);
  void await_counts(int batch);
  void write_to_neighbours(int batch);
  void offer_results(int batch);
  bool all_ready(int batch) const;
  void expect_results(int batch);
  void accept_results(Remote& remote);
  bool all_sent(Batch& state);
  bool find_rows(int batch, std::size_t token, std::span<const std::byte*> row_of);

  NodeComm node_;
  NodeBoard board_;
  ExpertGroups groups_;
  MPI_Datatype line_type_ = MPI_DATATYPE_NULL;  ///< 64 bytes of a block, or of results
  std::vector<std::unique_ptr<Batch>> batches_;
};

}  // namespace epskew::mpi
