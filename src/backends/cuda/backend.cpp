#include "backends/cuda/backend.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "backends/cuda/choice.hpp"
#include "backends/cuda/device_exchange.hpp"
#include "backends/cuda/device_limits.hpp"
#include "backends/cuda/process_world.hpp"
#include "epskew/support/error.hpp"

namespace epskew {
namespace {

constexpr int required_major = 9;  ///< compute capability: the kernels use Hopper's instructions

/// Devices that can be used, or why there is none.
std::optional<std::string> why_unusable() {
  int count = 0;
  const cudaError_t error = cudaGetDeviceCount(&count);
  if (error != cudaSuccess)
    return fmt::format("no CUDA device ({}); run on a machine with a GPU and its driver",
                       cudaGetErrorString(error));
  for (int device = 0; device < count; ++device) {
    int major = 0;
    if (cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device) == cudaSuccess &&
        major >= required_major) {
      return std::nullopt;
    }
  }
  return fmt::format("{} CUDA device(s), none of compute capability {}.0 or later; use a Hopper GPU or newer",
                     count, required_major);
}

/// One process, all ranks on one GPU or on several.
class DeviceWorld final : public World {
 public:
  DeviceWorld(const ExchangeShape& shape, const ExchangeOptions& options, const cuda::Settings& settings,
              const cuda::Plan& plan)
      : shape_(shape), options_(options), settings_(settings), plan_(plan) {}

  bool is_root() const override { return true; }
  std::vector<std::string> run(const RankBody& body) override {
    cuda::DeviceExchange exchange(shape_, options_, settings_, plan_);
    lost_.clear();
    const std::string report = body(exchange);
    lost_ = exchange.losses();
    return {report};
  }
  std::vector<LostRank> lost_ranks() const override { return lost_; }
  WorldFacts facts() override {
    WorldFacts facts;
    facts.num_devices =
        static_cast<int>(std::set<int>(settings_.devices.begin(), settings_.devices.end()).size());
    facts.choices = {cuda::describe_choice(plan_.algorithms, settings_)};
    facts.variants = {{"dispatch", std::string(cuda::name_of(plan_.algorithms.dispatch))},
                      {"combine", std::string(cuda::name_of(plan_.algorithms.combine))}};
    return facts;
  }

 private:
  ExchangeShape shape_;
  ExchangeOptions options_;
  cuda::Settings settings_;
  cuda::Plan plan_;
  std::vector<LostRank> lost_;
};

std::unique_ptr<World> make_job_world(const ExchangeShape& shape, const ExchangeOptions& options,
                                      const cuda::Job& job) {
  if (job.size != shape.num_ranks) {
    throw UsageError(fmt::format(
        "--num-processes {} does not fit this job ({} started {} processes, a rank each); make them equal",
        shape.num_ranks, job.launcher, job.size));
  }
  if (options.shrink) {
    throw UsageError(
        "--shrink-test is not known to --backend cuda in a job (launchers end all processes with the first); "
        "start "
        "one process, or use --backend cpu");
  }
  return std::make_unique<cuda::ProcessWorld>(shape, options, job);
}

class CudaBackend final : public Backend {
 public:
  std::string_view name() const override { return "cuda"; }
  std::string_view summary() const override { return "GPUs over peer memory, or several ranks on one GPU"; }
  std::optional<std::string> unusable() const override { return why_unusable(); }

  std::vector<std::string> facts() const override {
    int runtime = 0;
    int driver = 0;
    cudaRuntimeGetVersion(&runtime);
    cudaDriverGetVersion(&driver);
    std::vector<std::string> facts = {fmt::format("CUDA runtime: {}.{}", runtime / 1000, runtime % 1000 / 10),
                                      fmt::format("CUDA driver: {}.{}", driver / 1000, driver % 1000 / 10)};
    int count = 0;
    if (cudaGetDeviceCount(&count) != cudaSuccess) return facts;
    for (int device = 0; device < count; ++device) {
      cudaDeviceProp p{};
      if (cudaGetDeviceProperties(&p, device) != cudaSuccess) continue;
      facts.push_back(fmt::format("GPU {}: {}, {} multiprocessors, {} MB L2, {:.0f} GB", device, p.name,
                                  p.multiProcessorCount, p.l2CacheSize >> 20,
                                  static_cast<double>(p.totalGlobalMem) / 1e9));
    }
    return facts;
  }

  std::unique_ptr<World> make_world(const ExchangeShape& shape,
                                    const ExchangeOptions& options) const override {
    validate(shape, options);
    const cuda::Settings settings = cuda::parse_settings(options);
    if (const auto why = why_unusable()) throw UsageError("--backend cuda is not available (" + *why + ")");
    if (const auto job = cuda::find_job()) return make_job_world(shape, options, *job);
    return std::make_unique<DeviceWorld>(shape, options, settings, plan_for(shape, options, settings));
  }

  std::unique_ptr<Exchange> join(const ExchangeShape& shape, const ExchangeOptions& options,
                                 const Membership& /*membership*/) const override {
    validate(shape, options);
    if (shape.num_ranks > 1) {
      throw UsageError(fmt::format(
          "--num-processes {} is too many to join --backend cuda rank by rank (its ranks share a process or "
          "meet through mpirun or torchrun); use `epskew bench --backend cuda`",
          shape.num_ranks));
    }
    const cuda::Settings settings = cuda::parse_settings(options);
    if (const auto why = why_unusable()) throw UsageError("--backend cuda is not available (" + *why + ")");
    return std::make_unique<cuda::DeviceExchange>(shape, options, settings,
                                                  plan_for(shape, options, settings));
  }

 private:
  static cuda::Plan plan_for(const ExchangeShape& shape, const ExchangeOptions& options,
                             const cuda::Settings& settings) {
    cuda::require_devices(settings.devices);
    return cuda::make_plan(shape, options, settings, cuda::smallest_limits(settings.devices));
  }
};

}  // namespace

const Backend& cuda_backend() {
  static const CudaBackend backend;
  return backend;
}

}  // namespace epskew
