#include "backends/cuda/process_world.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "backends/cuda/choice.hpp"
#include "backends/cuda/device_limits.hpp"
#include "backends/cuda/peer_arenas.hpp"
#include "epskew/support/error.hpp"

namespace epskew::cuda {
namespace {

/// Starting several processes on one GPU takes seconds, whatever an exchange may take.
constexpr std::chrono::milliseconds least_timeout{60'000};

std::string describe(const ExchangeShape& shape, const ExchangeOptions& options) {
  std::string text = fmt::format(
      "{} ranks, {} experts, top-{}, hidden {}, {} tokens, dispatch {}, combine {}, {} micro-batches",
      shape.num_ranks, shape.num_experts, shape.topk, shape.hidden, shape.max_tokens,
      name_of(options.dispatch), name_of(options.combine), options.micro_batches);
  for (const auto& [name, value] : options.variants) text += fmt::format(", {}={}", name, value);
  return text;
}

/// The GPU of this process: of those named, or of all, the one of its number among the machine's processes.
int own_device(const ExchangeOptions& options, const Settings& settings, const Job& job) {
  if (options.variants.contains("devices")) {
    require_devices(settings.devices);
    return settings.devices[static_cast<std::size_t>(job.local_rank) % settings.devices.size()];
  }
  int count = 0;
  check(cudaGetDeviceCount(&count), "cudaGetDeviceCount");
  return job.local_rank % count;
}

/// How the processes are spread over GPUs.
struct Spread {
  int gpus;     ///< that the job has
  int sharing;  ///< processes on this one's GPU
};

Spread spread_of(Bootstrap& bootstrap, int device) {
  const std::vector<std::string> gpu_of_rank = gather_gpus(bootstrap, device);
  const std::string& own = gpu_of_rank[static_cast<std::size_t>(bootstrap.rank())];
  const std::set<std::string> gpus(gpu_of_rank.begin(), gpu_of_rank.end());
  return {static_cast<int>(gpus.size()),
          static_cast<int>(std::count(gpu_of_rank.begin(), gpu_of_rank.end(), own))};
}

/// Processes that share a GPU take turns.
Driver driver_of(Driver asked, int processes, int gpus) {
  if (gpus == processes) return asked;
  if (asked == Driver::fused) {
    throw UsageError(
        fmt::format("variant driver=fused cannot run {} processes on {} GPU(s) (a launch would wait for one "
                    "that does not run beside it); use driver=lockstep, or a GPU for each",
                    processes, gpus));
  }
  return Driver::lockstep;
}

}  // namespace

template <class Step>
auto ProcessWorld::together(Step step) {
  try {
    return step();
  } catch (...) {
    bootstrap_.fail_with_current_exception();
    throw;
  }
}

ProcessWorld::ProcessWorld(const ExchangeShape& shape, const ExchangeOptions& options, const Job& job)
    : bootstrap_(job, std::max(options.timeout, least_timeout)) {
  require_same("shape and options", describe(shape, options));
  together([&] { set_up(shape, options); });
}

void ProcessWorld::set_up(const ExchangeShape& shape, const ExchangeOptions& options) {
  Settings settings = parse_settings(options);
  settings.devices = {own_device(options, settings, bootstrap_.job())};
  settings.own_ranks = 1;
  // Looked up before the processes meet: none has taken memory yet, and those of one GPU share what is free.
  DeviceLimits limits = smallest_limits(settings.devices);
  const Spread spread = spread_of(bootstrap_, settings.devices.front());
  limits.memory_bytes /= static_cast<std::size_t>(spread.sharing);
  settings.links = spread.gpus > 1;
  settings.driver = driver_of(settings.driver, bootstrap_.size(), spread.gpus);
  const Plan plan = make_plan(shape, options, settings, limits);
  exchange_ = std::make_unique<DeviceExchange>(shape, options, settings, plan, &bootstrap_);
  facts_.num_devices = spread.gpus;
  facts_.choices = {describe_choice(plan.algorithms, settings),
                    fmt::format("{} processes started by {}, one rank each, on {} GPU(s){}",
                                bootstrap_.size(), bootstrap_.job().launcher, spread.gpus,
                                settings.driver == Driver::lockstep ? ", one after the other" : "")};
  facts_.variants = {{"dispatch", std::string(name_of(plan.algorithms.dispatch))},
                     {"combine", std::string(name_of(plan.algorithms.combine))}};
}

void ProcessWorld::require_same(const std::string& what, const std::string& value) {
  together([&] {
    const auto values = bootstrap_.all_gather(value, "comparing " + what);
    for (std::size_t rank = 1; rank < values.size(); ++rank) {
      if (values[rank] == values[0]) continue;
      throw UsageError(fmt::format(
          "rank {} was started with another {} than rank 0 ({} instead of {}); start all processes alike",
          rank, what, values[rank], values[0]));
    }
  });
}

std::vector<std::string> ProcessWorld::run(const RankBody& body) {
  auto reports = together([&] { return bootstrap_.all_gather(body(*exchange_), "gathering reports"); });
  if (!is_root()) reports.clear();
  return reports;
}

}  // namespace epskew::cuda
