#include "epskew/backends/registry.hpp"

#include <array>
#include <string>

#include "backends/cpu/backend.hpp"
#include "backends/cuda/backend.hpp"
#include "backends/mpi/backend.hpp"
#include "backends/nccl/backend.hpp"
#include "backends/reference/backend.hpp"
#include "epskew/support/error.hpp"

namespace epskew {

std::unique_ptr<Exchange> Backend::join(const ExchangeShape& /*shape*/, const ExchangeOptions& /*options*/,
                                        const Membership& /*membership*/) const {
  const std::string mine(name());
  throw UsageError(
      "--backend " + mine +
      " cannot be joined rank by rank (it brings its ranks to life itself); use `epskew bench --backend " +
      mine + "`");
}

std::span<const Backend* const> all_backends() {
  static const std::array<const Backend*, 5> backends = {&cuda_backend(), &cpu_backend(), &mpi_backend(),
                                                         &nccl_backend(), &reference_backend()};
  return backends;
}

const Backend* find_backend(std::string_view name) {
  for (const Backend* backend : all_backends()) {
    if (backend->name() == name) return backend;
  }
  return nullptr;
}

const Backend& default_backend() {
  for (const Backend* backend : all_backends()) {
    if (!backend->unusable()) return *backend;
  }
  return reference_backend();
}

}  // namespace epskew
