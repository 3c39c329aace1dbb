#include "backends/mpi/link_probe.hpp"

#include <algorithm>
#include <chrono>

#include "backends/mpi/library.hpp"

namespace epskew::mpi {
namespace {

constexpr int tag = 7;
constexpr int warm_up_trips = 3;
constexpr int latency_trips = 20;
constexpr int bandwidth_trips = 3;
constexpr std::size_t least_bytes = 64 << 10;
constexpr std::size_t most_bytes = 4 << 20;
/// A long message takes at least about this time one way, or is of most_bytes. Where a shaper's bucket lets a
/// burst of 64 kB through at full speed in either direction, such a message looks at most a few percent
/// faster than the link.
constexpr double long_message_us = 100'000;

/// One side of a ping-pong.
class PingPong {
 public:
  PingPong(Control& control, MPI_Comm comm, int peer, bool first)
      : control_(control), comm_(comm), peer_(peer), first_(first) {}

  /// Microseconds of one way, the mean over `trips` round trips.
  double one_way_us(std::size_t bytes, int trips) {
    buffer_.resize(std::max<std::size_t>(bytes, 1));
    const auto start = std::chrono::steady_clock::now();
    for (int trip = 0; trip < trips; ++trip) {
      if (first_) send(bytes);
      receive(bytes);
      if (!first_) send(bytes);
    }
    return std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start).count() /
           trips / 2;
  }

  /// The first side's number, on both.
  std::size_t agree(std::size_t mine) {
    std::uint64_t value = mine;
    MPI_Request request = MPI_REQUEST_NULL;
    if (first_) {
      check(MPI_Isend(&value, 1, MPI_UINT64_T, peer_, tag, comm_, &request), "MPI_Isend");
    } else {
      check(MPI_Irecv(&value, 1, MPI_UINT64_T, peer_, tag, comm_, &request), "MPI_Irecv");
    }
    control_.wait(request);
    return value;
  }

 private:
  void send(std::size_t bytes) {
    MPI_Request request = MPI_REQUEST_NULL;
    check(MPI_Isend(buffer_.data(), static_cast<int>(bytes), MPI_BYTE, peer_, tag, comm_, &request),
          "MPI_Isend");
    control_.wait(request);
  }
  void receive(std::size_t bytes) {
    MPI_Request request = MPI_REQUEST_NULL;
    check(MPI_Irecv(buffer_.data(), static_cast<int>(bytes), MPI_BYTE, peer_, tag, comm_, &request),
          "MPI_Irecv");
    control_.wait(request);
  }

  Control& control_;
  MPI_Comm comm_;
  int peer_;
  bool first_;
  std::vector<char> buffer_;
};

/// Doubles a message until it is long. The first side's clock decides for both.
std::size_t long_message(PingPong& side) {
  for (std::size_t bytes = least_bytes;; bytes *= 2) {
    const double us = side.one_way_us(bytes, 1);
    const bool is_long = us >= long_message_us || bytes >= most_bytes;
    if (side.agree(is_long ? 1 : 0) != 0) return bytes;
  }
}

LinkSpeed probe(PingPong& side) {
  LinkSpeed link;
  side.one_way_us(0, warm_up_trips);  // connections are made at first use
  link.latency_us = side.one_way_us(0, latency_trips);
  const std::size_t bytes = long_message(side);
  link.gb_per_s = static_cast<double>(bytes) / side.one_way_us(bytes, bandwidth_trips) * 1e-3;
  return link;
}

void send_to_root(Control& control, MPI_Comm comm, LinkSpeed& link, int from) {
  if (from == 0) return;
  MPI_Request request = MPI_REQUEST_NULL;
  if (control.rank() == from) {
    check(MPI_Isend(&link, sizeof(link), MPI_BYTE, 0, tag, comm, &request), "MPI_Isend");
  } else if (control.rank() == 0) {
    check(MPI_Irecv(&link, sizeof(link), MPI_BYTE, from, tag, comm, &request), "MPI_Irecv");
  }
  control.wait(request);
}

}  // namespace

std::vector<LinkSpeed> probe_links(Control& control, MPI_Comm comm, const Topology& topology) {
  std::vector<LinkSpeed> links;
  for (int from = 0; from < topology.num_nodes(); ++from) {
    for (int to = from + 1; to < topology.num_nodes(); ++to) {
      const int first = topology.ranks_of_node[static_cast<std::size_t>(from)].front();
      const int second = topology.ranks_of_node[static_cast<std::size_t>(to)].front();
      LinkSpeed link;
      if (control.rank() == first || control.rank() == second) {
        const bool is_first = control.rank() == first;
        PingPong side(control, comm, is_first ? second : first, is_first);
        link = probe(side);
      }
      send_to_root(control, comm, link, first);
      link.from = from;
      link.to = to;
      links.push_back(link);
      MPI_Request request = MPI_REQUEST_NULL;
      check(MPI_Ibarrier(comm, &request), "MPI_Ibarrier");
      control.wait(request);
    }
  }
  return links;
}

}  // namespace epskew::mpi
