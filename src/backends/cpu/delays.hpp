#pragma once

/// Random pauses between the steps of the protocol: a test mode that provokes orders which a quiet machine
/// never shows.

#include <cstdint>

#include "epskew/support/random.hpp"

namespace epskew::cpu {

class Delays {
 public:
  /// Pauses of 0 to `max_us` microseconds; none for 0.
  Delays(int max_us, int rank) : max_us_(max_us), random_(0x64656c6179, static_cast<std::uint64_t>(rank)) {}

  void pause() {
    if (max_us_ > 0) sleep_us(random_.below(static_cast<std::uint32_t>(max_us_) + 1));
  }

 private:
  static void sleep_us(std::uint32_t us);
  int max_us_;
  RandomStream random_;
};

}  // namespace epskew::cpu
