#include "backends/cpu/backend.hpp"

#include <fmt/format.h>

#include "backends/cpu/huge_file.hpp"
#include "backends/cpu/joined_exchange.hpp"
#include "backends/cpu/process_world.hpp"
#include "backends/cpu/variants.hpp"
#include "epskew/support/memory.hpp"
#include "exchange/kernels.hpp"

namespace epskew {
namespace {

/// Rows and results of one operation, all ranks together: they come into being wherever the tokens go.
double bytes_in_use(const ExchangeShape& shape, const ExchangeOptions& options) {
  const double selections = static_cast<double>(shape.num_ranks) * shape.max_tokens * shape.topk;
  const double row = static_cast<double>(row_bytes(options.dispatch, shape.hidden)) +
                     static_cast<double>(cpu::scale_bytes(options.dispatch)) * shape.num_scales() +
                     2.0 * shape.hidden;
  return selections * row * options.micro_batches;
}

class CpuBackend final : public Backend {
 public:
  std::string_view name() const override { return "cpu"; }
  std::string_view summary() const override { return "one process per rank over shared memory"; }
  std::optional<std::string> unusable() const override { return std::nullopt; }
  std::vector<std::string> facts() const override {
    return {fmt::format("SIMD (Highway): {}", instruction_set()), cpu::Pinning::library_version(),
            fmt::format("large pages: {}",
                        cpu::huge_files_missing().empty()
                            ? "yes (a tmpfs of its own)"
                            : "only if shmem_enabled allows them (" + cpu::huge_files_missing() + ")")};
  }
  std::unique_ptr<World> make_world(const ExchangeShape& shape,
                                    const ExchangeOptions& options) const override {
    check(shape, options);
    return std::make_unique<cpu::ProcessWorld>(shape, options);
  }

  std::unique_ptr<Exchange> join(const ExchangeShape& shape, const ExchangeOptions& options,
                                 const Membership& membership) const override {
    check(shape, options);
    if (options.shrink) {
      throw UsageError(
          "--shrink-test is not for ranks that join one by one (nobody watches whether they live); use "
          "`epskew bench`");
    }
    return std::make_unique<cpu::JoinedExchange>(shape, options, membership);
  }

 private:
  static void check(const ExchangeShape& shape, const ExchangeOptions& options) {
    validate(shape, options);
    cpu::parse_variants(options);
    if (shape.num_ranks > cpu::max_processes) {
      throw UsageError(
          fmt::format("--num-processes {} is too many for one machine (--backend cpu starts one process "
                      "per rank); choose {} or less",
                      shape.num_ranks, cpu::max_processes));
    }
    const double memory = physical_memory_bytes();
    if (bytes_in_use(shape, options) > 0.9 * memory) {
      throw UsageError(
          fmt::format("--num-tokens {} does not fit this machine (all ranks together need {:.1f} GB of "
                      "{:.1f} GB); choose fewer tokens, ranks or a smaller hidden size",
                      shape.max_tokens, bytes_in_use(shape, options) / 1e9, memory / 1e9));
    }
  }
};

}  // namespace

const Backend& cpu_backend() {
  static const CpuBackend backend;
  return backend;
}

}  // namespace epskew
