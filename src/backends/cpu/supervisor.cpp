#include "backends/cpu/supervisor.hpp"

#include <fmt/format.h>
#include <poll.h>

#include <algorithm>
#include <map>

#include "backends/cpu/rank_list.hpp"
#include "epskew/support/error.hpp"

namespace epskew::cpu {
namespace {

/// How long the others have to leave once the run is over.
constexpr std::chrono::milliseconds grace{2000};
constexpr int poll_ms = 50;
/// With shrink, the others wait for a verdict on the ranks they suspect.
constexpr int shrink_poll_ms = 5;
/// What is left to do for a rank when others have ended takes some time, however short the timeout.
constexpr std::chrono::milliseconds least_patience{5000};

bool is_finding(const Outcome& outcome) {
  return outcome.kind != Outcome::Kind::report && outcome.kind != Outcome::Kind::aborted &&
         outcome.kind != Outcome::Kind::rank_lost;
}

}  // namespace

Supervisor::Supervisor(std::vector<RankProcess>& processes, const Control& control,
                       const ExchangeOptions& options)
    : processes_(processes), control_(control), options_(options), ranks_(processes.size()) {}

void Supervisor::wait_for_all() {
  while (!all_ended()) {
    poll_once();
    watch();
    if (end_of_grace_ && active_.passed() > *end_of_grace_) kill_stragglers();
  }
}

std::vector<std::string> Supervisor::take_reports() {
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
  if (is_finding(*outcome) && !finding_ && (options_.shrink || lost_.empty())) finding_ = *outcome;
  if (outcome->kind != Outcome::Kind::report) end_run();
}

void Supervisor::watch() {
  const Duration elapsed = active_.tick();
  for (std::size_t rank = 0; rank < ranks_.size(); ++rank) {
    if (ranks_[rank].state != State::running) continue;
    observe(static_cast<int>(rank), elapsed);
    judge(static_cast<int>(rank));
  }
}

void Supervisor::observe(int rank, Duration elapsed) {
  Rank& state = ranks_[static_cast<std::size_t>(rank)];
  RankControl& control = control_.rank(rank);
  const bool waits = control.waiting.load(std::memory_order_acquire) != 0;
  const std::uint32_t progress = control.progress.load(std::memory_order_relaxed);
  const bool stopped = processes_[static_cast<std::size_t>(rank)].is_stopped();
  const bool moves = progress != state.progress || (waits && !stopped);
  state.progress = progress;
  state.stuck = moves ? Duration{} : state.stuck + elapsed;
  state.stopped = stopped ? state.stopped + elapsed : Duration{};
  state.suspected = !moves && (state.suspected || control.suspected.load(std::memory_order_relaxed) != 0);
  control.suspected.store(0, std::memory_order_relaxed);
}

/// A rank for which somebody waits, but which waits for others itself, is a victim. One that neither waits
/// nor moves is stuck, and is killed before it is called lost: it must not come back and write into buffers
/// that the others use again.
void Supervisor::judge(int rank) {
  const Rank& state = ranks_[static_cast<std::size_t>(rank)];
  const bool others_ended = std::any_of(ranks_.begin(), ranks_.end(),
                                        [](const Rank& other) { return other.state == State::ended; });
  const bool suspected = options_.shrink && state.suspected;
  const auto limit = suspected ? options_.timeout : std::max(options_.timeout, least_patience);
  if (state.stopped >= options_.timeout) {
    end_by_force(rank, fmt::format("was stopped for more than {} ms", options_.timeout.count()));
  } else if (suspected && state.stopped > Duration{}) {
    end_by_force(rank, "was stopped");
  } else if ((suspected || others_ended) && state.stuck >= limit) {
    end_by_force(rank, fmt::format("did not come back within {} ms", limit.count()));
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
  const double seconds = std::chrono::duration<double>(ActiveTime::Clock::now() - start_).count();
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
  if (!end_of_grace_) end_of_grace_ = active_.passed() + grace;
  std::uint32_t running = 0;
  control_.abort().compare_exchange_strong(running, static_cast<std::uint32_t>(control_.num_ranks()) + 1);
  control_.ring_all();
}

void Supervisor::kill_stragglers() {
  for (std::size_t rank = 0; rank < ranks_.size(); ++rank) {
    if (ranks_[rank].state != State::running) continue;
    const bool stopped = processes_[rank].is_stopped();
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
  // What a rank found explains the timeouts of the others and why some had to be killed at the end.
  if (finding_) rethrow(*finding_);
  std::string lost;
  for (const Rank& rank : ranks_) {
    if (rank.state == State::died) lost += (lost.empty() ? "" : "; ") + rank.fate;
  }
  const bool deadly = !options_.shrink || lost_.size() == ranks_.size();
  if (deadly && !lost.empty()) throw RankLost(lost + describe_waiters());
  for (const auto kind : {Outcome::Kind::rank_lost, Outcome::Kind::aborted}) {
    for (const Rank& rank : ranks_) {
      if (rank.outcome.kind == kind) rethrow(rank.outcome);
    }
  }
}

std::string Supervisor::describe_waiters() const {
  // Most ranks wait for the same one in the same place, so each such wait is told once, with who did.
  std::map<std::string, std::vector<int>> waits;
  for (std::size_t i = 0; i < ranks_.size(); ++i) {
    const Rank& rank = ranks_[i];
    const bool waited =
        rank.outcome.kind == Outcome::Kind::rank_lost || rank.outcome.kind == Outcome::Kind::aborted;
    if (rank.state != State::ended || !waited) continue;
    const std::string& text = rank.outcome.text;
    const std::string who = fmt::format("rank {} ", i);
    waits[text.starts_with(who) ? text.substr(who.size()) : text].push_back(static_cast<int>(i));
  }
  std::string waiters;
  for (const auto& [what, ranks] : waits) waiters += "; " + name_ranks(ranks) + " " + what;
  return waiters;
}

}  // namespace epskew::cpu
