#pragma once

/// Which bytes travel and who moves them; docs/cuda.md compares them.

namespace epskew::cuda {

/// What travels in dispatch: direct, each selection's row to its final place; dedup, each token once per
/// destination rank, copied to its rows there.
enum class DispatchAlgorithm : int { direct, dedup };
/// How results come back: pull, the owner reads each selection's row where it is; push, the expert's rank
/// writes it to the owner; prereduce, the expert's rank sums what a token has there and writes one row to the
/// owner.
enum class CombineAlgorithm : int { pull, push, prereduce };

struct Algorithms {
  DispatchAlgorithm dispatch = DispatchAlgorithm::direct;
  CombineAlgorithm combine = CombineAlgorithm::pull;

  /// Whether a header tells the destination what of a token is there.
  constexpr bool headers() const {
    return dispatch == DispatchAlgorithm::dedup || combine == CombineAlgorithm::prereduce;
  }
};

}  // namespace epskew::cuda
