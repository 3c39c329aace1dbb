#pragma once

/// The ways in which this backend can be told to work.

#include "epskew/exchange/shape.hpp"

namespace epskew::cpu {

struct Variants {
  int delay_us = 0;  ///< "inject_delay_us": longest random pause between protocol steps
};

/// Throws UsageError for a name or value that does not exist.
Variants parse_variants(const ExchangeOptions& options);

}  // namespace epskew::cpu
