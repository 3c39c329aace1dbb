#include "backends/mpi/control.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <thread>

#include "backends/mpi/guard.hpp"
#include "backends/mpi/host.hpp"
#include "backends/mpi/library.hpp"
#include "backends/mpi/simulated.hpp"
#include "epskew/support/error.hpp"

namespace epskew::mpi {
namespace {

enum Tag { tag_failure = 1, tag_question, tag_answer };

/// Other ranks may need this core (ranks > cores is normal in tests): test a few times, then yield between
/// tests, and after a while of nothing leave the core alone for longer.
constexpr int eager_rounds = 8;
constexpr int yield_rounds = 4000;
constexpr std::chrono::microseconds nap{50};
/// The clock is read once in so many rounds of yielding.
constexpr int rounds_per_look = 32;
constexpr std::chrono::milliseconds longest_question{2000};
constexpr std::size_t most_names = 8;

}  // namespace

Control::Control(MPI_Comm world, std::chrono::milliseconds timeout) : timeout_(timeout) {
  const Watched watched("setting up the job (MPI_Comm_dup)", timeout_);
  comm_ = duplicate(world);
  check(MPI_Comm_rank(comm_, &rank_), "MPI_Comm_rank");
  check(MPI_Comm_size(comm_, &size_), "MPI_Comm_size");
  learn_names();
}

Control::~Control() {
  if (Library::instance().broken()) return;
  const Watched watched("leaving the job (MPI_Comm_free)", timeout_);
  for (Outgoing& message : outgoing_) MPI_Wait(&message.request, MPI_STATUS_IGNORE);
  MPI_Comm_free(&comm_);
}

void Control::learn_names() {
  struct Name {
    std::int64_t pid;
    std::array<char, 120> host;
  };
  Name mine{static_cast<std::int64_t>(getpid()), {}};
  const std::string host = host_name();
  std::memcpy(mine.host.data(), host.data(), std::min(host.size(), mine.host.size() - 1));
  std::vector<Name> all(static_cast<std::size_t>(size_));
  MPI_Request request = MPI_REQUEST_NULL;
  check(MPI_Iallgather(&mine, sizeof(Name), MPI_BYTE, all.data(), sizeof(Name), MPI_BYTE, comm_, &request),
        "MPI_Iallgather");
  wait_politely(request);
  for (const Name& name : all) {
    hosts_.emplace_back(name.host.data());
    pids_.push_back(name.pid);
  }
}

std::string Control::name_of(int rank) const {
  const auto r = static_cast<std::size_t>(rank);
  return fmt::format("rank {} ({}, pid {})", rank, hosts_[r], pids_[r]);
}

void Control::enter(const char* step) {
  ++position_.sequence;
  std::strncpy(position_.step, step, sizeof(position_.step) - 1);
}

void Control::relax(Idle& idle) {
  ++idle.rounds;
  if (idle.rounds <= eager_rounds) return;
  if (idle.rounds == eager_rounds + 1) idle.start = Clock::now();
  serve();
  if (idle.rounds < yield_rounds) {
    sched_yield();
    if (idle.rounds % rounds_per_look != 0) return;
  } else {
    std::this_thread::sleep_for(nap);
  }
  const auto waited = Clock::now() - idle.start;
  const auto question = std::min<Clock::duration>(longest_question, timeout_ / 4);
  if (waited > timeout_ - question) give_up(waited + question);
}

void Control::wait(MPI_Request& request) {
  if (is_simulated) return check(MPI_Wait(&request, MPI_STATUS_IGNORE), "MPI_Wait");
  wait([&] {
    int done = 0;
    check(MPI_Test(&request, &done, MPI_STATUS_IGNORE), "MPI_Test");
    return done != 0;
  });
}

void Control::wait_all(std::vector<MPI_Request>& requests) {
  if (is_simulated) {
    return check(MPI_Waitall(static_cast<int>(requests.size()), requests.data(), MPI_STATUSES_IGNORE),
                 "MPI_Waitall");
  }
  wait([&] {
    int done = 0;
    check(MPI_Testall(static_cast<int>(requests.size()), requests.data(), &done, MPI_STATUSES_IGNORE),
          "MPI_Testall");
    return done != 0;
  });
}

void Control::send(int to, int tag, const void* data, std::size_t bytes) {
  Outgoing& message = outgoing_.emplace_back();
  const auto* first = static_cast<const char*>(data);
  message.bytes.assign(first, first + bytes);
  check(MPI_Isend(message.bytes.data(), static_cast<int>(bytes), MPI_BYTE, to, tag, comm_, &message.request),
        "MPI_Isend");
}

void Control::drop_finished_sends() {
  while (!outgoing_.empty()) {
    int done = 0;
    MPI_Test(&outgoing_.front().request, &done, MPI_STATUS_IGNORE);
    if (done == 0) return;
    outgoing_.pop_front();
  }
}

void Control::serve() {
  int found = 0;
  MPI_Status status;
  check(MPI_Iprobe(MPI_ANY_SOURCE, MPI_ANY_TAG, comm_, &found, &status), "MPI_Iprobe");
  if (found == 0) return;
  int bytes = 0;
  MPI_Get_count(&status, MPI_BYTE, &bytes);
  std::vector<char> data(static_cast<std::size_t>(bytes));
  check(MPI_Recv(data.data(), bytes, MPI_BYTE, status.MPI_SOURCE, status.MPI_TAG, comm_, MPI_STATUS_IGNORE),
        "MPI_Recv");
  if (status.MPI_TAG == tag_failure) {
    if (status.MPI_SOURCE == 0) root_announced_ = true;
    raise(decode(data));
  }
  if (status.MPI_TAG == tag_question) {
    drop_finished_sends();
    send(status.MPI_SOURCE, tag_answer, &position_, sizeof(position_));
  } else if (data.size() == sizeof(Position) && !answers_.empty()) {
    Position answer;
    std::memcpy(&answer, data.data(), sizeof(answer));
    answers_[static_cast<std::size_t>(status.MPI_SOURCE)] = answer;
  }
}

void Control::announce(const Failure& failure) {
  const std::vector<char> bytes = encode(failure);
  for (int to = 0; to < size_; ++to) {
    if (to != rank_) send(to, tag_failure, bytes.data(), bytes.size());
  }
  // A short message leaves with the first progress; some transports want a few rounds for it.
  const auto until = Clock::now() + std::chrono::milliseconds(100);
  while (!outgoing_.empty() && Clock::now() < until) {
    drop_finished_sends();
    sched_yield();
  }
}

void Control::await_root() {
  const bool root_is_silent = !answers_.empty() && !answers_[0];
  if (root_is_silent) return;
  const auto until = Clock::now() + timeout_;
  while (!root_announced_ && Clock::now() < until) {
    try {
      serve();
    } catch (const std::exception&) {
      continue;  // one more report of what this process already knows
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

void Control::ask_all(Clock::time_point until) {
  answers_.assign(static_cast<std::size_t>(size_), std::nullopt);
  answers_[static_cast<std::size_t>(rank_)] = position_;
  for (int to = 0; to < size_; ++to) {
    if (to != rank_) send(to, tag_question, nullptr, 0);
  }
  const auto answered = [](const auto& answer) { return answer.has_value(); };
  while (!std::all_of(answers_.begin(), answers_.end(), answered) && Clock::now() < until) {
    serve();
    sched_yield();
  }
}

void Control::give_up(Clock::duration waited) {
  ask_all(Clock::now() + std::min<Clock::duration>(longest_question, timeout_ / 4));
  throw RankLost(fmt::format("{} waited {:.1f} s in {} for {}", name_of(rank_),
                             std::chrono::duration<double>(waited).count(), position_.step, culprits()));
}

std::string Control::list(const std::vector<int>& ranks) const {
  std::vector<std::string> names;
  for (const int rank : ranks) {
    if (names.size() < most_names) names.push_back(name_of(rank));
  }
  std::string text = fmt::format("{}", fmt::join(names, ", "));
  if (ranks.size() > most_names) text += fmt::format(" and {} more", ranks.size() - most_names);
  return text;
}

std::string Control::culprits() const {
  std::vector<int> silent;
  std::int64_t last = position_.sequence;
  for (int rank = 0; rank < size_; ++rank) {
    const auto& answer = answers_[static_cast<std::size_t>(rank)];
    if (!answer) {
      silent.push_back(rank);
    } else {
      last = std::min(last, answer->sequence);
    }
  }
  if (!silent.empty())
    return list(silent) + ", which " + (silent.size() == 1 ? "does" : "do") + " not answer";
  if (last == position_.sequence)
    return "data that does not arrive, though every rank answers and none is behind";
  std::vector<int> behind;
  const char* step = "";
  for (int rank = 0; rank < size_; ++rank) {
    const Position& answer = *answers_[static_cast<std::size_t>(rank)];
    if (answer.sequence != last) continue;
    behind.push_back(rank);
    step = answer.step;
  }
  return list(behind) + fmt::format(", still in {}", step);
}

}  // namespace epskew::mpi
