#include "backends/mpi/variants.hpp"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <string_view>
#include <utility>

#include "backends/mpi/alltoallv_exchange.hpp"
#include "backends/mpi/auto_exchange.hpp"
#include "backends/mpi/node_exchange.hpp"
#include "backends/mpi/rma_exchange.hpp"
#include "backends/mpi/simulated.hpp"
#include "epskew/support/error.hpp"

namespace epskew::mpi {
namespace {

struct AlgorithmName {
  Algorithm algorithm;
  std::string_view name;
};
constexpr std::array algorithms = {
    AlgorithmName{Algorithm::automatic, "auto"}, AlgorithmName{Algorithm::alltoallv, "alltoallv"},
    AlgorithmName{Algorithm::rma, "rma"}, AlgorithmName{Algorithm::pairwise, "pairwise"},
    AlgorithmName{Algorithm::node, "node"}};

Algorithm parse_algorithm(const std::string& value) {
  std::string names;
  for (const AlgorithmName& entry : algorithms) {
    if (entry.name == value) return entry.algorithm;
    names += (names.empty() ? "" : ", ") + std::string(entry.name);
  }
  throw UsageError(fmt::format("variant exchange={} is unknown (--backend mpi knows {}); choose one of them",
                               value, names));
}

int parse_ranks(const std::string& value) {
  int ranks = 0;
  const auto parsed = std::from_chars(value.data(), value.data() + value.size(), ranks);
  if (parsed.ec == std::errc{} && parsed.ptr == value.data() + value.size() && ranks >= 1) return ranks;
  throw UsageError(fmt::format(
      "variant ranks-per-node={} is not a number of ranks (a node has at least one); choose 1 or more",
      value));
}

std::unique_ptr<MpiExchange> make_one(const Setting& setting, const Variants& variants, Algorithm algorithm) {
  switch (algorithm) {
    case Algorithm::alltoallv:
      return std::make_unique<AlltoallvExchange>(setting);
    case Algorithm::rma:
      return std::make_unique<RmaExchange>(setting);
    case Algorithm::pairwise:
      return std::make_unique<NodeExchange>(setting, 1);
    default:
      return std::make_unique<NodeExchange>(setting, variants.ranks_per_node);
  }
}

}  // namespace

Variants parse_variants(const ExchangeOptions& options) {
  Variants variants;
  for (const auto& [name, value] : options.variants) {
    if (name == "exchange") {
      variants.algorithm = parse_algorithm(value);
    } else if (name == "ranks-per-node") {
      variants.ranks_per_node = parse_ranks(value);
    } else {
      throw UsageError(fmt::format(
          "--backend mpi has no variant '{}' (it knows exchange and ranks-per-node); leave it out", name));
    }
  }
  if (is_simulated && (variants.ranks_per_node || (variants.algorithm != Algorithm::automatic &&
                                                   variants.algorithm != Algorithm::alltoallv))) {
    throw UsageError(
        "only exchange=alltoallv can be simulated (the others watch memory while they wait, which takes no "
        "simulated "
        "time); leave the other variants out");
  }
  if (variants.ranks_per_node && variants.algorithm != Algorithm::node &&
      variants.algorithm != Algorithm::automatic) {
    throw UsageError(
        "variant ranks-per-node means nothing here (only exchange=node looks at nodes); leave it out");
  }
  return variants;
}

std::unique_ptr<MpiExchange> make_exchange(const Setting& setting) {
  const Variants variants = parse_variants(setting.options);
  if (is_simulated) return std::make_unique<AlltoallvExchange>(setting);
  if (variants.algorithm != Algorithm::automatic) return make_one(setting, variants, variants.algorithm);
  std::vector<Candidate> candidates;
  for (const AlgorithmName& entry : algorithms) {
    if (entry.algorithm == Algorithm::automatic) continue;
    try {
      candidates.push_back({std::string(entry.name), make_one(setting, variants, entry.algorithm)});
    } catch (const EnvironmentError&) {
      continue;  // in every process alike; it is not among those that choices() names
    }
  }
  return std::make_unique<AutoExchange>(setting, std::move(candidates));
}

}  // namespace epskew::mpi
