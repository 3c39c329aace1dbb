#include "epskew/support/parallel.hpp"

#include <algorithm>
#include <atomic>
#include <exception>
#include <system_error>
#include <thread>
#include <vector>

namespace epskew {

void for_each_in_parallel(int count, const std::function<void(int)>& work) {
  std::vector<std::exception_ptr> thrown(static_cast<std::size_t>(std::max(count, 0)));
  std::atomic<int> next{0};
  const auto take_pieces = [&] {
    for (int piece = next++; piece < count; piece = next++) {
      try {
        work(piece);
      } catch (...) {
        thrown[static_cast<std::size_t>(piece)] = std::current_exception();
      }
    }
  };
  const int cores = static_cast<int>(std::max(std::thread::hardware_concurrency(), 1U));
  std::vector<std::thread> others;
  try {
    for (int i = 1; i < std::min(count, cores); ++i) others.emplace_back(take_pieces);
  } catch (const std::system_error&) {
    // The system has no more threads to give; those that there are do it.
  }
  take_pieces();
  for (std::thread& other : others) other.join();
  for (const std::exception_ptr& one : thrown) {
    if (one) std::rethrow_exception(one);
  }
}

}  // namespace epskew
