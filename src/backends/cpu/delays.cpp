#include "backends/cpu/delays.hpp"

#include <chrono>
#include <thread>

namespace epskew::cpu {

void Delays::sleep_us(std::uint32_t us) {
  std::this_thread::sleep_for(std::chrono::microseconds(us));
}

}  // namespace epskew::cpu
