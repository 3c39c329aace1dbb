#pragma once

/// How an exchange will run on a device, decided from shape, options and the device's size alone: no CUDA
/// call here.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "backends/cuda/kernels.hpp"
#include "backends/cuda/layout.hpp"

namespace epskew::cuda {

enum class Driver {
  automatic,  ///< lockstep for split phases, fused for whole operations
  fused,    ///< one cooperative launch holds all local ranks: they run at the same time, each on its share of
            ///< the blocks
  lockstep  ///< rank after rank, each with the whole GPU
};

/// What the device offers.
struct DeviceLimits {
  int multiprocessors = 132;
  std::size_t shared_bytes_per_block = 227 * 1024;  ///< largest dynamic request
  std::size_t shared_bytes_per_multiprocessor = 228 * 1024;
  std::size_t memory_bytes = 0;  ///< free
};

/// `options.variants`, understood. A device may be named twice, for tests of the several-device path on one
/// GPU; then only the lockstep driver is allowed, since two cooperative launches need not be resident at
/// once.
struct Settings {
  Driver driver = Driver::automatic;
  std::vector<int> devices = {0};  ///< ranks are spread over them, contiguous and even
  int blocks = 0;                  ///< of one rank in lockstep, of all ranks in fused, at most; 0: chosen
  std::optional<DispatchAlgorithm> dispatch;  ///< none: chosen
  std::optional<CombineAlgorithm> combine;    ///< none: chosen
  bool links = false;                         ///< some ranks live on different GPUs
  std::optional<int> own_ranks;               ///< ranks that this process plays; none: all
  bool graph = true;                          ///< measure by replaying a captured graph
  std::uint32_t delay_max_ns = 0;  ///< random pauses before publishing, signalling and reading; 0: none
};
/// Throws UsageError for an unknown name or value.
Settings parse_settings(const ExchangeOptions& options);

/// One kind of launch, as one rank sees it.
struct LaunchSize {
  int blocks = 1;                ///< a rank
  int own_tokens = 0;            ///< tokens that one block can touch
  std::size_t shared_bytes = 0;  ///< dynamic, a block
};

struct Plan {
  Algorithms algorithms;
  LaunchSize fused_dispatch;
  LaunchSize fused_combine;
  LaunchSize lockstep_counts;
  LaunchSize lockstep_dispatch;
  LaunchSize lockstep_combine;
};

/// Throws UsageError where the device cannot hold the exchange, saying what would fit.
Plan make_plan(const ExchangeShape& shape, const ExchangeOptions& options, const Settings& settings,
               const DeviceLimits& limits);

/// Dynamic shared memory of a block that may touch `own_tokens` tokens.
std::size_t dispatch_shared_bytes(const ExchangeShape& shape, int own_tokens, bool headers);
std::size_t combine_shared_bytes(const ExchangeShape& shape, int own_tokens);

}  // namespace epskew::cuda
