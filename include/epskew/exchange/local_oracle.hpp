#pragma once

/// The oracle at work on all local ranks of an exchange. What touches the exchange happens rank by rank on
/// the caller's thread; what only computes, on all cores of this process.

#include <optional>
#include <vector>

#include "epskew/exchange/exchange.hpp"
#include "epskew/exchange/oracle.hpp"

namespace epskew {

/// [local ranks] what is wrong with each.
using LocalMismatches = std::vector<std::optional<Mismatch>>;

/// Gives every local rank the input that `oracle` has for it now.
void set_inputs(Exchange& exchange, int batch, Oracle& oracle);

/// Whether the counts, ranges and source tokens of the latest dispatch are right: then it can be computed on.
LocalMismatches check_counts(Exchange& exchange, int batch, const Oracle& oracle);

/// Whether all that the latest dispatch delivered is right.
LocalMismatches check_dispatches(Exchange& exchange, int batch, const Oracle& oracle);

/// Lets the experts compute on the latest dispatch, except on ranks where something is wrong: rows of a
/// malformed output cannot be computed on.
void apply_experts(Exchange& exchange, int batch, const Oracle& oracle, const LocalMismatches& wrong);

/// Whether what the latest combine delivered is right.
LocalMismatches check_combines(Exchange& exchange, int batch, const Oracle& oracle);

}  // namespace epskew
