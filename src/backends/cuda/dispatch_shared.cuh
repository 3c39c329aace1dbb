#pragma once

/// The dynamic shared memory of a dispatch block; sizes in dispatch_shared_bytes (plan.hpp).

#include "backends/cuda/launch.hpp"

namespace epskew::cuda {

struct DispatchShared {
  int* counts;    ///< [E] selections of this rank per expert
  int* before;    ///< [E] of them, those of tokens before this block's first
  int* begin;     ///< [E] first row of the expert at its rank
  int* base;      ///< [E] first row of this rank's selections within the expert
  int* incoming;  ///< [L][R] rows that this rank receives, by local expert and source
  int* expert;    ///< [own_tokens·K] of this block's tokens
  int* slot;      ///< [own_tokens·K] index among this rank's rows of that expert
  // With headers only:
  int* message;          ///< [own_tokens·K] index of the token's message among this rank's to the same rank
  int* messages;         ///< [R] messages of this rank per destination
  int* messages_before;  ///< [R] of them, those of tokens before this block's first

  __device__ DispatchShared(int* memory, const Launch& launch) {
    const int own = launch.own_tokens * launch.topk;
    counts = memory;
    before = counts + launch.num_experts;
    begin = before + launch.num_experts;
    base = begin + launch.num_experts;
    incoming = base + launch.num_experts;
    expert = incoming + launch.num_experts;
    slot = expert + own;
    message = slot + own;
    messages = message + own;
    messages_before = messages + launch.num_ranks;
  }
};

}  // namespace epskew::cuda
