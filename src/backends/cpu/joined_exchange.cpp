#include "backends/cpu/joined_exchange.hpp"

#include <fmt/format.h>

#include <chrono>
#include <filesystem>
#include <thread>
#include <utility>

#include "backends/cpu/variants.hpp"

namespace epskew::cpu {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

/// The folder in which every piece of memory is a link to where its owner keeps it.
class MeetingPlace {
 public:
  MeetingPlace(const Membership& membership, std::chrono::milliseconds timeout)
      : rank_(membership.rank),
        folder_(membership.meeting_place),
        timeout_(timeout),
        deadline_(Clock::now() + timeout) {}

  void announce(const std::string& name, const SharedMemory& memory) const {
    fs::create_symlink(memory.path(), folder_ / name);
  }

  /// Waits for what `owner` announces.
  fs::path find(const std::string& name, int owner) const {
    while (!fs::is_symlink(folder_ / name)) {
      if (Clock::now() > deadline_) {
        throw RankLost(fmt::format("rank {} waited for rank {} to join for more than {} ms", rank_, owner,
                                   timeout_.count()));
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return folder_ / name;
  }

 private:
  int rank_;
  fs::path folder_;
  std::chrono::milliseconds timeout_;
  Clock::time_point deadline_;
};

std::string arena_name(int rank) {
  return fmt::format("arena-{}", rank);
}

Control join_control(const ExchangeShape& shape, const ExchangeOptions& options, const MeetingPlace& place,
                     int rank) {
  if (rank != 0) return {shape, options, place.find("control", 0)};
  Control control(shape, options);
  place.announce("control", control.memory());
  return control;
}

SharedWorld join_world(const ExchangeShape& shape, const ExchangeOptions& options,
                       const Membership& membership) {
  const MeetingPlace place(membership, options.timeout);
  const std::size_t bytes = make_arena_layout(shape, options, parse_variants(options)).total_bytes;
  Control control = join_control(shape, options, place, membership.rank);
  SharedMemory mine(bytes);
  place.announce(arena_name(membership.rank), mine);
  std::vector<SharedMemory> arenas;
  for (int rank = 0; rank < shape.num_ranks; ++rank) {
    if (rank == membership.rank) {
      arenas.push_back(std::move(mine));
    } else {
      arenas.emplace_back(place.find(arena_name(rank), rank), bytes);
    }
  }
  return {shape, options, std::move(control), std::move(arenas)};
}

}  // namespace

JoinedExchange::JoinedExchange(const ExchangeShape& shape, const ExchangeOptions& options,
                               const Membership& membership)
    : JoinedWorld{join_world(shape, options, membership)}, CpuExchange(JoinedWorld::world, membership.rank) {
  // Whoever has come this far maps everything; only then may an owner leave.
  align();
}

}  // namespace epskew::cpu
