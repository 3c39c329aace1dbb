// MPI_Alltoallv as a user writes it, on a routing file of `epskew gen`, checked by the same oracle and reduced to the
// same figures as `epskew bench`. Started by mpirun with as many processes as the file has ranks. Prints one JSON object.

#include <mpi.h>

#include <chrono>
#include <cstdio>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "alltoallv_exchange.hpp"
#include "epskew/exchange/oracle.hpp"
#include "epskew/measure/samples.hpp"
#include "epskew/measure/statistics.hpp"
#include "epskew/routing/digest.hpp"
#include "epskew/support/error.hpp"
#include "epskew/trace/routing_file.hpp"

namespace epskew::peer {
namespace {

struct Settings {
  std::string routing;
  int hidden = 7168;
  std::string format = "fp8";
  int warmup = 5;
  int iterations = 200;
};

struct Times {
  double dispatch = 0, combine = 0;
};

/// Runs the oracle once; throws WrongResult on the first difference.
void check(AlltoallvExchange& exchange, Oracle& oracle, int rank) {
  const RankInput input = oracle.input(rank);
  exchange.dispatch(input);
  if (const auto wrong = oracle.check_dispatch(rank, exchange.output())) throw WrongResult(to_string(*wrong));
  oracle.apply_experts(rank, exchange.output(), exchange.expert_output());
  std::vector<BFloat16> out(input.x.size());
  exchange.combine(out);
  if (const auto wrong = oracle.check_combine(rank, out)) throw WrongResult(to_string(*wrong));
}

/// One aligned iteration; expert outputs stay as they are, as no expert runs while timing.
Times iterate(AlltoallvExchange& exchange, const RankInput& input, std::span<BFloat16> out, MPI_Comm comm) {
  using Clock = std::chrono::steady_clock;
  const auto us = [](Clock::duration d) { return std::chrono::duration<double, std::micro>(d).count(); };
  MPI_Barrier(comm);
  const auto start = Clock::now();
  exchange.dispatch(input);
  const auto middle = Clock::now();
  exchange.combine(out);
  return {us(middle - start), us(Clock::now() - middle)};
}

nlohmann::json summary(const std::vector<double>& samples, int num_ranks) {
  const Summary s = summarise(slowest_rank({num_ranks, samples}));
  return {{"slowest_rank_p50_us", s.p50 ? nlohmann::json(*s.p50) : nullptr}, {"samples_us", samples}};
}

int run(const Settings& settings, MPI_Comm comm) {
  int rank = 0, size = 0;
  MPI_Comm_rank(comm, &rank);
  MPI_Comm_size(comm, &size);
  const RoutingTable table = read_routing_file(settings.routing).table;
  if (table.num_ranks() != size) {
    throw UsageError("the routing file has " + std::to_string(table.num_ranks()) + " ranks but mpirun started " +
                     std::to_string(size) + " processes; start as many as the file has ranks");
  }
  const auto format = find_dispatch_format(settings.format);
  if (!format || (*format != DispatchFormat::bf16 && *format != DispatchFormat::fp8)) {
    throw UsageError("--dispatch-format " + settings.format + " is not supported by this peer; use fp8 or bf16");
  }
  const ExchangeShape shape{size, table.num_experts, table.topk, settings.hidden, table.max_tokens()};
  ExchangeOptions options;
  options.dispatch = *format;
  AlltoallvExchange exchange(comm, shape, *format);
  Oracle oracle(table, shape, options, OracleData::exact, 0);
  check(exchange, oracle, rank);
  const RankInput input = oracle.input(rank);
  std::vector<BFloat16> out(input.x.size());
  const auto iterations = static_cast<std::size_t>(settings.iterations);
  std::vector<double> mine[3];
  for (int i = -settings.warmup; i < settings.iterations; ++i) {
    const Times t = iterate(exchange, input, out, comm);
    if (i < 0) continue;
    mine[0].push_back(t.dispatch);
    mine[1].push_back(t.combine);
    mine[2].push_back(t.dispatch + t.combine);
  }
  check(exchange, oracle, rank);
  nlohmann::json phases;
  const char* names[] = {"dispatch", "combine", "dispatch_combine"};
  for (int phase = 0; phase < 3; ++phase) {
    std::vector<double> by_rank(iterations * static_cast<std::size_t>(size)), matrix(by_rank.size());
    MPI_Gather(mine[phase].data(), settings.iterations, MPI_DOUBLE, by_rank.data(), settings.iterations, MPI_DOUBLE, 0, comm);
    for (std::size_t r = 0; r < static_cast<std::size_t>(size); ++r) {
      for (std::size_t i = 0; i < iterations; ++i) matrix[i * static_cast<std::size_t>(size) + r] = by_rank[r * iterations + i];
    }
    if (rank == 0) phases[names[phase]] = summary(matrix, size);
  }
  if (rank == 0) {
    char version[MPI_MAX_LIBRARY_VERSION_STRING];
    int length = 0;
    MPI_Get_library_version(version, &length);
    const std::string library(version, static_cast<std::size_t>(length));
    const nlohmann::json result = {{"peer", "MPI_Alltoallv"},       {"library", library.substr(0, library.find('\n'))},
                                   {"digest", digest(table)},       {"num_ranks", size},
                                   {"hidden", settings.hidden},     {"dispatch_format", settings.format},
                                   {"iterations", settings.iterations}, {"oracle", "passed"},
                                   {"timing", phases}};
    std::printf("%s\n", result.dump().c_str());
  }
  return 0;
}

}  // namespace
}  // namespace epskew::peer

int main(int argc, char** argv) {
  epskew::peer::Settings settings;
  CLI::App app{"MPI_Alltoallv dispatch and combine on an epskew routing file", "peer-alltoallv"};
  app.add_option("routing", settings.routing, "file written by epskew gen")->required();
  app.add_option("--hidden", settings.hidden, "hidden size")->capture_default_str();
  app.add_option("--dispatch-format", settings.format, "fp8 or bf16")->capture_default_str();
  app.add_option("--iterations", settings.iterations, "timed iterations")->capture_default_str()->check(CLI::PositiveNumber);
  app.add_option("--warmup", settings.warmup, "untimed iterations")->capture_default_str()->check(CLI::NonNegativeNumber);
  CLI11_PARSE(app, argc, argv);
  MPI_Init(&argc, &argv);
  int status = 0;
  try {
    status = epskew::peer::run(settings, MPI_COMM_WORLD);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "peer-alltoallv: %s\n", error.what());
    MPI_Abort(MPI_COMM_WORLD, 1);
  }
  MPI_Finalize();
  return status;
}
