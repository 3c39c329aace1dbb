#include "conformance/combined_bits.hpp"

#include "conformance/tables.hpp"
#include "epskew/backends/registry.hpp"
#include "epskew/exchange/oracle.hpp"
#include "epskew/support/error.hpp"

namespace epskew::testing {

std::string combined_bits(const char* backend, const RoutingTable& table, const ExchangeOptions& options) {
  const ExchangeShape shape = shape_of(table, 384);
  const auto reports = find_backend(backend)->make_world(shape, options)->run([&](Exchange& exchange) {
    Oracle oracle(table, shape, options, OracleData::random, 21);
    if (const auto mismatch = run_oracle(exchange, oracle)) throw WrongResult(to_string(*mismatch));
    std::string bits;
    for (int local = 0; local < static_cast<int>(exchange.local_ranks().size()); ++local) {
      const auto out = exchange.combine_output(local, 0);
      bits.append(reinterpret_cast<const char*>(out.data()), out.size_bytes());
    }
    return bits;
  });
  std::string all;
  for (const std::string& report : reports) all += report;
  return all;
}

}  // namespace epskew::testing
