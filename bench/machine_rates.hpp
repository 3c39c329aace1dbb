#pragma once

/// What this machine can do at the moment: the rates that physical floors are computed from.

#include <cstddef>
#include <functional>
#include <vector>

#include "backends/cpu/shared_memory.hpp"
#include "epskew/exchange/shape.hpp"
#include "epskew/support/bfloat16.hpp"

namespace epskew {

double seconds_of(const std::function<void()>& work);
/// The upper one of two middle values; `values` is not empty.
double median(std::vector<double> values);

/// Of all cores together.
struct Rates {
  double copy = 0;    ///< bytes read + written a second, non-temporal stores
  double load = 0;    ///< bytes a second, reading only
  double store = 0;   ///< bytes a second, non-temporal stores only
  double cast = 0;    ///< tokens a second
  double reduce = 0;  ///< tokens a second, inputs in cache
};

Rates between(const Rates& a, const Rates& b);

class Machine {
 public:
  Machine(int threads, const ExchangeShape& shape);

  /// Medians, like the times that are held against them. Takes a tenth of a second.
  Rates measure();

 private:
  double seconds(const std::function<void(std::size_t)>& work) const;
  void copy(std::size_t thread);
  void load(std::size_t thread) const;
  void store(std::size_t thread);
  void cast(std::size_t thread) const;
  void reduce(std::size_t thread) const;
  const BFloat16* values(std::size_t thread) const;

  int threads_;
  ExchangeShape shape_;
  std::vector<cpu::SharedMemory> buffers_;  ///< a source and a target for each thread
};

}  // namespace epskew
