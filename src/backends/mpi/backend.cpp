#include "backends/mpi/backend.hpp"

#include <fmt/format.h>

#include "backends/mpi/library.hpp"
#include "backends/mpi/simulated.hpp"
#include "backends/mpi/variants.hpp"
#include "backends/mpi/world.hpp"
#include "epskew/support/error.hpp"
#include "epskew/support/launcher.hpp"

namespace epskew {
namespace {

/// Throws UsageError unless this is a process of an MPI job of the right size.
void require_launched(const ExchangeShape& shape) {
  // A simulated rank knows its job only from MPI itself.
  auto process = launched_process();
  if (mpi::is_simulated)
    process = {mpi::Library::instance().rank(), mpi::Library::instance().size(), "SMPI", {}, {}, {}};
  if (!process) {
    throw UsageError(
        fmt::format("--backend mpi needs an MPI launcher (this process was started without one); start "
                    "with mpirun -n {} epskew …",
                    shape.num_ranks));
  }
  if (process->size != shape.num_ranks) {
    throw UsageError(
        fmt::format("--num-processes {} does not fit an MPI job of {} (one process is one rank); start "
                    "with mpirun -n {} or set --num-processes {}",
                    shape.num_ranks, process->size, shape.num_ranks, process->size));
  }
}

class MpiBackend final : public Backend {
 public:
  std::string_view name() const override { return "mpi"; }
  std::string_view summary() const override { return "ranks of an MPI job, on one machine or many"; }

  std::optional<std::string> unusable() const override {
    if (mpi::is_simulated || launched_process()) return std::nullopt;
    return "not started as an MPI job; start with mpirun -n R epskew …";
  }

  std::vector<std::string> facts() const override { return {"MPI: " + mpi::library_version()}; }

  std::unique_ptr<World> make_world(const ExchangeShape& shape,
                                    const ExchangeOptions& options) const override {
    validate(shape, options);
    mpi::parse_variants(options);
    mpi::fold_payload(shape);
    if (options.combine != CombineFormat::bf16 && mpi::payload_is_folded()) {
      throw UsageError(fmt::format(
          "results cannot be combined in {} where payload is folded (how long they are depends on "
          "their values); leave the flag or EPSKEW_FOLD_PAYLOAD out",
          name_of(options.combine)));
    }
    if (options.shrink) {
      throw UsageError(
          "--shrink-test needs a backend that goes on without lost ranks (an MPI job ends with its first); "
          "use --backend "
          "cpu");
    }
    require_launched(shape);
    mpi::Library::instance(options.timeout);
    return std::make_unique<mpi::MpiWorld>(shape, options);
  }
};

}  // namespace

const Backend& mpi_backend() {
  static const MpiBackend backend;
  return backend;
}

}  // namespace epskew
