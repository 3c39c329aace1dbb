#include "epskew/exchange/phase.hpp"

#include <limits>

namespace epskew {
namespace {

constexpr std::array<Phase, num_phases> phases = {Phase::dispatch_send, Phase::dispatch_recv, Phase::combine_send,
                                                  Phase::combine_recv,  Phase::dispatch,      Phase::combine,
                                                  Phase::dispatch_combine};
constexpr std::array<std::string_view, num_phases> names = {"dispatch_send", "dispatch_recv", "combine_send",
                                                            "combine_recv",  "dispatch",      "combine",
                                                            "dispatch_combine"};

}  // namespace

std::string_view name_of(Phase phase) { return names[static_cast<std::size_t>(phase)]; }

std::span<const Phase> all_phases() { return phases; }

std::span<const Phase> phases_of(TimingMode mode) {
  const std::span<const Phase> all = phases;
  switch (mode) {
    case TimingMode::split:
      return all.subspan(0, 4);
    case TimingMode::fused:
      return all.subspan(4, 2);
    case TimingMode::pair:
      break;
  }
  return all.subspan(6, 1);
}

IterationSample::IterationSample() : misalignment_us(0) { us.fill(std::numeric_limits<double>::quiet_NaN()); }

}  // namespace epskew
