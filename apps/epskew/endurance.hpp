#pragma once

/// `bench --pressure-test` and `bench --shrink-test`: instead of timing, the exchange is run until it breaks,
/// or ranks are killed and the survivors checked.

#include <CLI/CLI.hpp>
#include <cstdint>
#include <cstdio>
#include <functional>

#include "epskew/backends/registry.hpp"
#include "epskew/routing/routing_table.hpp"

namespace epskew::app {

struct EnduranceFlags {
  bool pressure = false;
  double pressure_seconds = 0;  ///< 0: until interrupted
  bool shrink = false;
  bool wanted() const { return pressure || shrink; }
};

/// What both tests run on. `make_table` is a function of the seed and fits `shape`.
struct EndurancePlan {
  ExchangeShape shape;
  ExchangeOptions options;
  std::uint64_t seed = 0;
  std::function<RoutingTable(std::uint64_t seed)> make_table;
};

void add_endurance_flags(CLI::App& command, EnduranceFlags& flags);
/// Throws UsageError for flags that contradict each other.
void check(const EnduranceFlags& flags);
/// Runs the test that the flags name and prints what happened to `text`. Throws WrongResult where an answer
/// was wrong.
void run_endurance(const Backend& backend, const EnduranceFlags& flags, const EndurancePlan& plan,
                   std::FILE* text);

}  // namespace epskew::app
