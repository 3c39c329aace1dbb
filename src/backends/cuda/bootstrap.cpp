#include "backends/cuda/bootstrap.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <limits>
#include <thread>

#include "epskew/support/error.hpp"

namespace epskew::cuda {
namespace {

using Clock = std::chrono::steady_clock;

/// First byte of a frame.
enum class Kind : char { part, usage, wrong_result, rank_lost, other };

struct Frame {
  Kind kind = Kind::part;
  std::string text;
};

/// A process says its rank, in digits.
constexpr std::uint64_t longest_hello = 16;

/// The peer closed, or time ran out.
enum class Trouble { none, ended, late };

/// An abstract name: it goes with the process, so nothing is left behind and nothing stale is found.
sockaddr_un address_of(const Job& job, socklen_t& length) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string name = fmt::format("epskew-{}{}", getuid(), job.name);
  const std::size_t used = std::min(name.size(), sizeof address.sun_path - 1);
  // The end tells jobs apart better than the beginning.
  std::memcpy(address.sun_path + 1, name.data() + (name.size() - used), used);
  length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + used);
  return address;
}

int open_socket() {
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) throw_errno("socket");
  return fd;
}

/// A peer that is stopped takes nothing once the socket's buffer is full; send_bytes then gives up.
void limit_sending(int fd, std::chrono::milliseconds timeout) {
  timeval time{};
  time.tv_sec = timeout.count() / 1000;
  time.tv_usec = timeout.count() % 1000 * 1000;
  if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &time, sizeof time) != 0) throw_errno("setsockopt");
}

bool wait_for(int fd, short events, Clock::time_point deadline) {
  for (;;) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
    pollfd entry{fd, events, 0};
    const int ready = poll(&entry, 1, static_cast<int>(std::clamp<long>(left, 0, 1000)));
    if (ready > 0) return true;
    if (ready < 0 && errno != EINTR) throw_errno("poll");
    if (left <= 0) return false;
  }
}

Trouble receive_bytes(int fd, char* to, std::size_t count, Clock::time_point deadline) {
  while (count > 0) {
    if (!wait_for(fd, POLLIN, deadline)) return Trouble::late;
    const ssize_t got = recv(fd, to, count, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return Trouble::ended;
    to += got;
    count -= static_cast<std::size_t>(got);
  }
  return Trouble::none;
}

/// A frame of more than `most` bytes is none of this job's.
Trouble receive(int fd, Frame& frame, Clock::time_point deadline,
                std::uint64_t most = std::numeric_limits<std::uint64_t>::max()) {
  char head[1 + sizeof(std::uint64_t)];
  if (const Trouble trouble = receive_bytes(fd, head, sizeof head, deadline); trouble != Trouble::none)
    return trouble;
  std::uint64_t length = 0;
  std::memcpy(&length, head + 1, sizeof length);
  if (length > most) return Trouble::ended;
  frame.kind = static_cast<Kind>(head[0]);
  frame.text.resize(length);
  return receive_bytes(fd, frame.text.data(), length, deadline);
}

std::string pack(Kind kind, const std::string& text) {
  const std::uint64_t length = text.size();
  std::string frame(1, static_cast<char>(kind));
  frame.append(reinterpret_cast<const char*>(&length), sizeof length);
  return frame + text;
}

bool send_bytes(int fd, const std::string& bytes) {
  std::size_t sent = 0;
  while (sent < bytes.size()) {
    const ssize_t put = send(fd, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) return false;
    sent += static_cast<std::size_t>(put);
  }
  return true;
}

[[noreturn]] void raise(const Frame& frame) {
  switch (frame.kind) {
    case Kind::usage:
      throw UsageError(frame.text);
    case Kind::wrong_result:
      throw WrongResult(frame.text);
    case Kind::rank_lost:
      throw RankLost(frame.text);
    case Kind::part:
    case Kind::other:
      break;
  }
  throw EnvironmentError(frame.text);
}

Frame describe_current_exception() {
  try {
    throw;
  } catch (const UsageError& error) {
    return {Kind::usage, error.what()};
  } catch (const WrongResult& error) {
    return {Kind::wrong_result, error.what()};
  } catch (const RankLost& error) {
    return {Kind::rank_lost, error.what()};
  } catch (const std::exception& error) {
    return {Kind::other, error.what()};
  } catch (...) {
    return {Kind::other, "unknown failure"};
  }
}

std::string loss(int rank, Trouble trouble, const std::string& what, std::chrono::milliseconds timeout) {
  if (trouble == Trouble::ended)
    return fmt::format("rank {} ended; the others waited for it in {}", rank, what);
  return fmt::format("rank {} did not come within {:.1f} s; the others waited for it in {}", rank,
                     static_cast<double>(timeout.count()) / 1e3, what);
}

std::string join(const std::vector<std::string>& parts) {
  std::string all;
  for (const std::string& part : parts) all += pack(Kind::part, part);
  return all;
}

std::vector<std::string> split(const std::string& all, int count) {
  std::vector<std::string> parts;
  std::size_t at = 0;
  for (int i = 0; i < count; ++i) {
    std::uint64_t length = 0;
    std::memcpy(&length, all.data() + at + 1, sizeof length);
    at += 1 + sizeof length;
    parts.push_back(all.substr(at, length));
    at += length;
  }
  return parts;
}

}  // namespace

Bootstrap::Bootstrap(const Job& job, std::chrono::milliseconds timeout) : job_(job), timeout_(timeout) {
  if (job.local_size != job.size) {
    throw UsageError(
        fmt::format("--backend cuda cannot run a job over several machines ({} of {} processes are on this "
                    "one, and GPU memory is "
                    "reached by load and store); start all processes on one machine, or use --backend mpi",
                    job.local_size, job.size));
  }
  try {
    if (job.rank == 0) {
      listen_and_accept();
    } else {
      connect_to_root();
    }
  } catch (...) {
    close_all();
    throw;
  }
}

Bootstrap::~Bootstrap() {
  close_all();
}

void Bootstrap::close_all() {
  for (const int fd : sockets_) {
    if (fd >= 0) close(fd);
  }
  if (listener_ >= 0) close(listener_);
}

void Bootstrap::listen_and_accept() {
  socklen_t length = 0;
  const sockaddr_un address = address_of(job_, length);
  listener_ = open_socket();
  if (bind(listener_, reinterpret_cast<const sockaddr*>(&address), length) != 0) throw_errno("bind");
  if (listen(listener_, job_.size) != 0) throw_errno("listen");
  sockets_.assign(static_cast<std::size_t>(job_.size), -1);
  const auto deadline = Clock::now() + timeout_;
  for (int missing = job_.size - 1; missing > 0; --missing) {
    if (!wait_for(listener_, POLLIN, deadline)) {
      for (int rank = 1; rank < job_.size; ++rank) {
        if (sockets_[static_cast<std::size_t>(rank)] < 0)
          throw RankLost(loss(rank, Trouble::late, "starting the job", timeout_));
      }
    }
    const int fd = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (fd < 0) throw_errno("accept");
    limit_sending(fd, timeout_);
    Frame hello;
    const Trouble trouble = receive(fd, hello, deadline, longest_hello);
    const int rank = trouble == Trouble::none ? std::atoi(hello.text.c_str()) : 0;
    if (rank < 1 || rank >= job_.size || sockets_[static_cast<std::size_t>(rank)] >= 0) {
      close(fd);
      throw EnvironmentError(fmt::format(
          "a process that is no rank of this job, or one twice, came to its socket (it said \"{}\")",
          hello.text));
    }
    sockets_[static_cast<std::size_t>(rank)] = fd;
  }
  // The next world of this job listens under the same name.
  close(listener_);
  listener_ = -1;
}

void Bootstrap::connect_to_root() {
  socklen_t length = 0;
  const sockaddr_un address = address_of(job_, length);
  const auto deadline = Clock::now() + timeout_;
  sockets_.assign(1, open_socket());
  limit_sending(sockets_[0], timeout_);
  while (connect(sockets_[0], reinterpret_cast<const sockaddr*>(&address), length) != 0) {
    if (errno != ECONNREFUSED && errno != ENOENT && errno != EAGAIN && errno != EINTR) throw_errno("connect");
    if (Clock::now() > deadline) throw RankLost(loss(0, Trouble::late, "starting the job", timeout_));
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  send_bytes(sockets_[0], pack(Kind::part, fmt::format("{}", job_.rank)));
}

void Bootstrap::tell_all(const std::string& frame) noexcept {
  for (const int fd : sockets_) {
    if (fd >= 0) send_bytes(fd, frame);
  }
}

std::vector<std::string> Bootstrap::gather_as_root(const std::string& mine, const std::string& what) {
  std::vector<std::string> parts(sockets_.size());
  parts[0] = mine;
  const auto deadline = Clock::now() + timeout_;
  for (int rank = 1; rank < job_.size; ++rank) {
    Frame frame;
    const Trouble trouble = receive(sockets_[static_cast<std::size_t>(rank)], frame, deadline);
    if (trouble != Trouble::none) frame = {Kind::rank_lost, loss(rank, trouble, what, timeout_)};
    if (frame.kind != Kind::part) {
      broken_ = true;
      tell_all(pack(frame.kind, frame.text));
      raise(frame);
    }
    parts[static_cast<std::size_t>(rank)] = std::move(frame.text);
  }
  tell_all(pack(Kind::part, join(parts)));
  return parts;
}

std::vector<std::string> Bootstrap::all_gather(const std::string& mine, const std::string& what) {
  if (broken_) throw RankLost("the job has ended: an earlier failure stopped it");
  if (job_.rank == 0) return gather_as_root(mine, what);
  Frame frame;
  // The root itself waits for the slowest, so it may be that much later.
  const auto deadline = Clock::now() + 2 * timeout_;
  send_bytes(sockets_[0], pack(Kind::part, mine));  // where the root is gone, the answer below says why
  const Trouble trouble = receive(sockets_[0], frame, deadline);
  if (trouble != Trouble::none) frame = {Kind::rank_lost, loss(0, trouble, what, timeout_)};
  if (frame.kind != Kind::part) {
    broken_ = true;
    raise(frame);
  }
  return split(frame.text, job_.size);
}

void Bootstrap::fail_with_current_exception() noexcept {
  if (broken_) return;
  broken_ = true;
  try {
    const Frame frame = describe_current_exception();
    tell_all(pack(frame.kind, frame.text));
  } catch (...) {
    // Out of memory for the message: the closing sockets tell the others.
  }
}

}  // namespace epskew::cuda
