#pragma once

/// A rank's duties for tokens that come from other nodes: receive for its node, distribute, collect, return.
///
/// From every source rank on another node, one rank of this node (Topology::proxy) receives how many tokens
/// come for each expert, then one block with every token once, in several messages. It stores the tokens at
/// the ranks of their experts through shared memory, later reads the experts' results there and returns them,
/// in several messages too.

#include <mpi.h>

#include <cstdint>
#include <vector>

#include "backends/mpi/node_arena.hpp"
#include "backends/mpi/node_board.hpp"
#include "backends/mpi/node_rows.hpp"
#include "backends/mpi/rank_block.hpp"

namespace epskew::mpi {

/// What the parts of a node exchange share for one micro-batch. All borrowed.
struct NodeBatch {
  int index = 0;
  const Topology* topology = nullptr;
  const NodeBoard* board = nullptr;
  NodeRows* rows = nullptr;
  NodeArena* arena = nullptr;
  const ResultRow* result_row = nullptr;
  MPI_Comm comm = MPI_COMM_NULL;
};

/// Message tags of a micro-batch. Between two ranks messages of one tag stay in order, so operations cannot
/// mix.
struct NodeTags {
  explicit NodeTags(int batch) : counts(3 * batch), block(3 * batch + 1), results(3 * batch + 2) {}
  int counts, block, results;
};

class NodeRelay {
 public:
  NodeRelay(const ExchangeShape& shape, const WireRow& wire, const NodeBatch& batch, int rank);
  ~NodeRelay();
  NodeRelay(const NodeRelay&) = delete;
  NodeRelay& operator=(const NodeRelay&) = delete;

  /// A new operation, numbered from 1: expects counts from every source that this rank receives for.
  void begin(std::uint64_t operation);
  /// Passes on the counts that have arrived. True once all have.
  bool pass_counts();
  /// Stores the blocks that have arrived; needs NodeRows of this operation. True once all have.
  bool pass_blocks();
  /// Starts returning all results; every rank of the node must be ready.
  void return_results();
  /// Goes on returning them. True once all have left.
  bool done();
  bool has_sources() const { return !sources_.empty(); }
  std::int64_t bytes() const;

  /// Counts message: number of messages in the block, then tokens for each expert of the node.
  static std::size_t counts_size(int node_experts) { return static_cast<std::size_t>(node_experts) + 1; }

 private:
  enum class Stage { counts, block, stored };
  struct Source {
    int rank = 0;
    Stage stage = Stage::counts;
    MPI_Request request = MPI_REQUEST_NULL;  ///< of the counts
    std::vector<std::int32_t> counts;
    std::vector<std::byte> block;
    std::vector<MPI_Request> arriving;  ///< [messages that the block travels in]
    std::size_t num_arrived = 0;        ///< of them, in order
    int num_stored = 0;                 ///< tokens
    struct Place {
      int member;
      std::int32_t row;
    };
    std::vector<Place> places;  ///< of the source's selections here, in its order
    std::vector<std::byte> results;
    std::vector<ResultRow::Part> parts;  ///< of `places`
    std::vector<MPI_Request> returning;  ///< [parts that have been started]
    std::size_t num_left = 0;            ///< parts that have left, in order
  };
  static bool arrived(MPI_Request& request);
  void return_next_part(Source& source);
  bool keep_returning(Source& source);
  void expect_block(Source& source);
  /// Stores the tokens that have arrived. True once all have.
  bool store(Source& source);
  void store_token(Source& source, int message);

  BlockLayout layout_;
  NodeBatch batch_;
  NodeTags tags_;
  MPI_Datatype line_type_ = MPI_DATATYPE_NULL;  ///< 64 bytes of a block, or of results
  std::uint64_t operation_ = 0;
  std::vector<Source> sources_;
};

}  // namespace epskew::mpi
