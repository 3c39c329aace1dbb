#pragma once

/// How tokens get from their source to the rows of their experts. Flags and waiting are not its business.

#include <memory>

#include "backends/cpu/operation.hpp"

namespace epskew::cpu {

class DispatchAlgorithm {
 public:
  virtual ~DispatchAlgorithm() = default;
  /// Writes this rank's tokens; the caller orders the writes before its flags.
  virtual void send(const Operation& operation) = 0;
  /// After the flags of all sources.
  virtual void receive(const Operation& operation) = 0;
  /// Payload, scales and source tokens; the caller adds the rest.
  virtual void describe(const Operation& operation, DispatchOutput& output) const = 0;
};

std::unique_ptr<DispatchAlgorithm> make_dispatch(const ExchangeShape& shape, const ExchangeOptions& options,
                                                 const Variants& variants);

/// Points `output` at `count` stored rows.
void describe_payload(const Operation& operation, const std::byte* rows, const std::byte* scales,
                      std::size_t count, DispatchOutput& output);

}  // namespace epskew::cpu
