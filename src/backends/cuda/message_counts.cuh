#pragma once

/// Messages: a token that goes to a rank, however many of its experts live there. Each is numbered among
/// those from its source to its destination, in token order, and the numbers' totals travel with the counts.

#include "backends/cuda/dispatch_shared.cuh"
#include "backends/cuda/signal.cuh"

namespace epskew::cuda {

/// What dispatch carries to a rank: each selection's row, with a header for each message or without, or
/// messages with their headers.
enum class Carry { rows, rows_and_headers, messages };

/// Numbers the messages of tokens [token0, token1), which are this block's; experts are in shared memory
/// already.
__device__ inline void count_messages(const RankCtx& ctx, int token0, int token1, DispatchShared& shared) {
  const Launch& launch = ctx.launch;
  const int* topk = ctx.mine<const int>(launch.offsets.topk);
  for (int r = threadIdx.x; r < launch.num_ranks; r += blockDim.x)
    shared.messages[r] = shared.messages_before[r] = 0;
  __syncthreads();
  for (int i = threadIdx.x; i < ctx.num_tokens() * launch.topk; i += blockDim.x) {
    const int e = __ldg(topk + i);
    if (e < 0) continue;
    const int rank = e / launch.experts_per_rank;
    const int first = rank * launch.experts_per_rank;
    bool leads = true;  // no earlier selection of the token goes to that rank
    for (int j = i - i % launch.topk; j < i; ++j) {
      const int other = __ldg(topk + j) - first;
      leads = leads && (other < 0 || other >= launch.experts_per_rank);
    }
    if (!leads) continue;
    atomicAdd(shared.messages + rank, 1);
    if (i < token0 * launch.topk) atomicAdd(shared.messages_before + rank, 1);
  }
  __syncthreads();
  const int own = (token1 - token0) * launch.topk;
  for (int i = threadIdx.x; i < own; i += blockDim.x) {
    const int e = shared.expert[i];
    if (e < 0) continue;
    const int rank = e / launch.experts_per_rank;
    const int first = rank * launch.experts_per_rank;
    int number = shared.messages_before[rank];
    const int begin = i - i % launch.topk;
    for (int t = 0; t < begin; t += launch.topk) {
      bool goes = false;
      for (int k = t; k < t + launch.topk; ++k) {
        const int other = shared.expert[k] - first;
        goes = goes || (other >= 0 && other < launch.experts_per_rank);
      }
      number += goes;
    }
    shared.message[i] = number;
  }
}

/// How many messages each rank gets from this one.
__device__ inline void publish_messages(const RankCtx& ctx, const DispatchShared& shared) {
  const Launch& launch = ctx.launch;
  if (ctx.block != 0) return;
  for (int peer = threadIdx.x; peer < launch.num_ranks; peer += blockDim.x) {
    store_cell(
        ctx.theirs<std::uint64_t>(peer, launch.offsets.message_cells) + ctx.rank,
        static_cast<std::uint64_t>(launch.epoch) << 32 | static_cast<std::uint32_t>(shared.messages[peer]));
  }
}

/// Where the messages of each source begin in the flat list of all that this rank received: [R + 1]. Their
/// flags have been waited for, so the cells are there.
__device__ inline void list_messages(const RankCtx& ctx, int* first) {
  const Launch& launch = ctx.launch;
  const std::uint64_t* cells = ctx.mine<const std::uint64_t>(launch.offsets.message_cells);
  const int source = threadIdx.x;
  if (source < launch.num_ranks) {
    const bool lost = ctx.is_lost(source);
    first[source + 1] = lost ? 0 : static_cast<int>(static_cast<std::uint32_t>(load_cell(cells + source)));
  }
  __syncthreads();
  int end = 0;
  for (int s = 0; source < launch.num_ranks && s <= source; ++s) end += first[s + 1];
  __syncthreads();
  if (source < launch.num_ranks) first[source + 1] = end;
  if (source == 0) first[0] = 0;
  __syncthreads();
}

/// The `index`-th message of the flat list.
struct ListedMessage {
  int source;
  int slot;  ///< in [R][M]

  __device__ ListedMessage(const RankCtx& ctx, const int* first, int index) : source(0) {
    int last = ctx.launch.num_ranks - 1;
    while (source < last) {
      const int middle = (source + last) / 2;
      if (index < first[middle + 1]) {
        last = middle;
      } else {
        source = middle + 1;
      }
    }
    slot = source * ctx.launch.max_tokens + index - first[source];
  }
};

}  // namespace epskew::cuda
