#include "backends/cpu/supervisor.hpp"

#include <fmt/format.h>
#include <poll.h>

#include <algorithm>

#include "epskew/support/error.hpp"

namespace epskew::cpu {
namespace {

/// How long the others have to leave once the run is over.
constexpr std::chrono::milliseconds grace{2000};
constexpr int poll_ms = 50;
/// With shrink, the others wait for a verdict on the ranks they suspect.
constexpr int shrink_poll_ms = 5;

}  // namespace

Supervisor::Supervisor(std::vector<RankProcess>& processes, const Control& control,
                       const ExchangeOptions& options)
    : processes_(processes), control_(control), options_(options), ranks_(processes.size()) {}

std::vector<std::string> Supervisor::collect() {
  while (!all_ended()) {
    poll_once();
    look_for_stopped();
    if (options_.shrink) look_at_suspects();
    if (end_of_grace_ && RankProcess::Clock::now() > *end_of_grace_) kill_stragglers();
  }
  throw_failure();
  std::vector<std::string> reports;
  for (Rank& rank : ranks_) reports.push_back(std::move(rank.outcome.text));
  return reports;
}

bool Supervisor::all_ended() const {
  return std::none_of(ranks_.begin(), ranks_.end(),
                      [](const Rank& rank) { return rank.state == State::running; });
}

void Supervisor::poll_once() {
  std::vector<pollfd> pipes;
  std::vector<int> owners;
  for (std::size_t rank = 0; rank < ranks_.size(); ++rank) {
    if (ranks_[rank].state != State::running) continue;
    pipes.push_back({processes_[rank].pipe(), POLLIN, 0});
    owners.push_back(static_cast<int>(rank));
  }
  if (poll(pipes.data(), pipes.size(), options_.shrink ? shrink_poll_ms : poll_ms) <= 0) return;
  for (std::size_t i = 0; i < pipes.size(); ++i) {
    if (pipes[i].revents != 0) listen(owners[i]);
  }
}

void Supervisor::listen(int rank) {
  RankProcess& process = processes_[static_cast<std::size_t>(rank)];
  if (!process.drain()) return;
  const auto outcome = process.outcome();
  const std::string how = process.reap();
  if (!outcome) {
    declare_dead(rank, how);
    return;
  }
  Rank& state = ranks_[static_cast<std::size_t>(rank)];
  state.state = State::ended;
  state.outcome = *outcome;
  if (outcome->kind != Outcome::Kind::report) end_run();
}

void Supervisor::look_for_stopped() {
  const auto now = RankProcess::Clock::now();
  for (std::size_t rank = 0; rank < ranks_.size(); ++rank) {
    if (ranks_[rank].state != State::running) continue;
    const auto since = processes_[rank].stopped_since();
    if (!since || now - *since < options_.timeout) continue;
    end_by_force(static_cast<int>(rank),
                 fmt::format("was stopped for more than {} ms", options_.timeout.count()));
  }
}

/// Somebody waited in vain for these. One that waits itself is a victim; one that does not is stuck, and is
/// killed before it is called lost: it must not come back and write into buffers that the others use again.
void Supervisor::look_at_suspects() {
  for (std::size_t rank = 0; rank < ranks_.size(); ++rank) {
    RankControl& control = control_.rank(static_cast<int>(rank));
    if (ranks_[rank].state != State::running || control.suspected.exchange(0, std::memory_order_relaxed) == 0)
      continue;
    if (processes_[rank].stopped_since()) {
      end_by_force(static_cast<int>(rank), "was stopped");
    } else if (control.waiting.load(std::memory_order_relaxed) == 0) {
      end_by_force(static_cast<int>(rank),
                   fmt::format("did not come back within {} ms", options_.timeout.count()));
    }
  }
}

void Supervisor::end_by_force(int rank, std::string how) {
  processes_[static_cast<std::size_t>(rank)].kill();
  processes_[static_cast<std::size_t>(rank)].reap();
  declare_dead(rank, std::move(how));
}

void Supervisor::declare_dead(int rank, std::string how) {
  Rank& state = ranks_[static_cast<std::size_t>(rank)];
  state.state = State::died;
  state.fate = fmt::format("rank {} {} in {}", rank, how, last_seen(rank));
  const double seconds = std::chrono::duration<double>(RankProcess::Clock::now() - start_).count();
  lost_.push_back({rank, std::move(how), last_seen(rank), seconds, {}});
  if (!options_.shrink || lost_.size() == ranks_.size()) {
    end_run();
    return;
  }
  control_.rank(rank).lost.store(1, std::memory_order_release);
  control_.ring_all();
}

std::vector<LostRank> Supervisor::lost_ranks() const {
  std::vector<LostRank> lost = lost_;
  for (LostRank& entry : lost) {
    const auto word = static_cast<std::size_t>(entry.rank / 64);
    for (int rank = 0; rank < control_.num_ranks(); ++rank) {
      const std::uint64_t bits = control_.rank(rank).waited_in_vain[word].load(std::memory_order_relaxed);
      if ((bits >> entry.rank % 64 & 1u) != 0) entry.waiters.push_back(rank);
    }
  }
  return lost;
}

void Supervisor::end_run() {
  if (!end_of_grace_) end_of_grace_ = RankProcess::Clock::now() + grace;
  std::uint32_t running = 0;
  control_.abort().compare_exchange_strong(running, static_cast<std::uint32_t>(control_.num_ranks()) + 1);
  control_.ring_all();
}

void Supervisor::kill_stragglers() {
  for (std::size_t rank = 0; rank < ranks_.size(); ++rank) {
    if (ranks_[rank].state != State::running) continue;
    const bool stopped = processes_[rank].stopped_since().has_value();
    end_by_force(static_cast<int>(rank), stopped ? "was stopped" : "did not come back");
  }
}

std::string Supervisor::last_seen(int rank) const {
  const RankControl& control = control_.rank(rank);
  const auto activity = static_cast<Activity>(control.activity.load(std::memory_order_relaxed));
  return fmt::format("{} of micro-batch {}", name_of(activity),
                     control.batch.load(std::memory_order_relaxed));
}

void Supervisor::throw_failure() const {
  std::string lost;
  for (const Rank& rank : ranks_) {
    if (rank.state == State::died) lost += (lost.empty() ? "" : "; ") + rank.fate;
  }
  const bool deadly = !options_.shrink || lost_.size() == ranks_.size();
  if (deadly && !lost.empty()) throw RankLost(lost + describe_waiters());
  // A rank's own mistake or finding explains a timeout of the others, so it comes first.
  for (const Rank& rank : ranks_) {
    const auto kind = rank.outcome.kind;
    if (kind != Outcome::Kind::report && kind != Outcome::Kind::aborted && kind != Outcome::Kind::rank_lost) {
      rethrow(rank.outcome);
    }
  }
  for (const Rank& rank : ranks_) {
    if (rank.outcome.kind == Outcome::Kind::rank_lost) rethrow(rank.outcome);
  }
  for (const Rank& rank : ranks_) {
    if (rank.outcome.kind == Outcome::Kind::aborted) rethrow(rank.outcome);
  }
}

std::string Supervisor::describe_waiters() const {
  std::string waiters;
  for (const Rank& rank : ranks_) {
    const bool waited =
        rank.outcome.kind == Outcome::Kind::rank_lost || rank.outcome.kind == Outcome::Kind::aborted;
    if (rank.state == State::ended && waited) waiters += "; " + rank.outcome.text;
  }
  return waiters;
}

}  // namespace epskew::cpu
