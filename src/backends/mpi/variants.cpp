#include "backends/mpi/variants.hpp"

#include <fmt/format.h>

#include <array>
#include <string_view>

#include "backends/mpi/alltoallv_exchange.hpp"
#include "backends/mpi/rma_exchange.hpp"
#include "epskew/support/error.hpp"

namespace epskew::mpi {
namespace {

struct AlgorithmName {
  Algorithm algorithm;
  std::string_view name;
};
constexpr std::array algorithms = {AlgorithmName{Algorithm::alltoallv, "alltoallv"},
                                   AlgorithmName{Algorithm::rma, "rma"}};

Algorithm parse_algorithm(const std::string& value) {
  std::string names;
  for (const AlgorithmName& entry : algorithms) {
    if (entry.name == value) return entry.algorithm;
    names += (names.empty() ? "" : ", ") + std::string(entry.name);
  }
  throw UsageError(fmt::format("variant exchange={} is unknown (--backend mpi knows {}); choose one of them",
                               value, names));
}

}  // namespace

Variants parse_variants(const ExchangeOptions& options) {
  Variants variants;
  for (const auto& [name, value] : options.variants) {
    if (name != "exchange") {
      throw UsageError(
          fmt::format("--backend mpi has no variant '{}' (it knows exchange); leave it out", name));
    }
    variants.algorithm = parse_algorithm(value);
  }
  return variants;
}

std::unique_ptr<Exchange> make_exchange(const Setting& setting) {
  switch (parse_variants(setting.options).algorithm) {
    case Algorithm::alltoallv:
      return std::make_unique<AlltoallvExchange>(setting);
    case Algorithm::rma:
      break;
  }
  return std::make_unique<RmaExchange>(setting);
}

}  // namespace epskew::mpi
