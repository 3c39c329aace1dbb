#pragma once

/// The ways in which this backend can be told to work.

#include "backends/cpu/shared_memory.hpp"
#include "epskew/exchange/shape.hpp"
#include "epskew/exchange/world.hpp"

namespace epskew::cpu {

enum class DispatchVariant {
  direct,     ///< a token is written to its final row once per expert
  dedup,      ///< once per destination rank; the receiver copies it to the rows of its experts
  rank_major  ///< once per destination rank, where it stays; rows refer to it
};
enum class CombineVariant {
  pull,      ///< the owner reads its experts' results where they were made
  push,      ///< the experts' ranks write each result to its owner
  prereduce  ///< the experts' ranks sum what a token has on them; the owner reads one sum per rank
};
enum class ExpertOutput {
  in_place,  ///< experts write into the shared arena
  copied     ///< experts write into memory of their own, combine_send copies
};

struct Variants {
  DispatchVariant dispatch = DispatchVariant::direct;   ///< "dispatch"
  CombineVariant combine = CombineVariant::pull;        ///< "combine"
  ExpertOutput expert_output = ExpertOutput::in_place;  ///< "expert_output"
  Pages pages = Pages::large;                           ///< "pages", of the arenas
  int delay_us = 0;  ///< "inject_delay_us": longest random pause between protocol steps
};

/// Throws UsageError for a name, value or combination that does not exist.
Variants parse_variants(const ExchangeOptions& options);

/// What these ways copy between ranks.
WireCopies copies_of(const Variants& variants);

}  // namespace epskew::cpu
