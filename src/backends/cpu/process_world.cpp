#include "backends/cpu/process_world.hpp"

#include "backends/cpu/supervisor.hpp"
#include "backends/cpu/variants.hpp"

namespace epskew::cpu {
namespace {

/// What a rank process does. A rank that fails tells the others, so that nobody waits for it.
Outcome run_rank(SharedWorld& shared, int rank, const RankBody& body) {
  Outcome outcome;
  try {
    CpuExchange exchange(shared, rank);
    outcome.text = body(exchange);
  } catch (...) {
    outcome = outcome_of(std::current_exception());
    std::uint32_t running = 0;
    shared.control.abort().compare_exchange_strong(running, static_cast<std::uint32_t>(rank) + 1);
    shared.control.ring_all();
  }
  shared.control.rank(rank).activity.store(static_cast<std::uint32_t>(Activity::done));
  return outcome;
}

}  // namespace

WorldFacts ProcessWorld::facts() {
  WorldFacts facts;
  facts.copies = copies_of(parse_variants(shared_.options));
  return facts;
}

std::vector<std::string> ProcessWorld::run(const RankBody& body) {
  // Every run begins with zeros: epochs start anew, and a failed run leaves nothing behind.
  shared_.control.memory().clear();
  for (SharedMemory& arena : shared_.arenas) arena.clear();
  const int num_ranks = shared_.shape.num_ranks;
  std::vector<RankProcess> processes;
  processes.reserve(static_cast<std::size_t>(num_ranks));
  for (int rank = 0; rank < num_ranks; ++rank) {
    processes.emplace_back([&, rank] {
      pinning_.pin(rank, num_ranks);
      return run_rank(shared_, rank, body);
    });
  }
  Supervisor supervisor(processes, shared_.control, shared_.options);
  supervisor.wait_for_all();
  lost_ = supervisor.lost_ranks();
  return supervisor.take_reports();
}

}  // namespace epskew::cpu
