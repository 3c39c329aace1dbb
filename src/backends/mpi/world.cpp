#include "backends/mpi/world.hpp"

#include <cstdint>
#include <exception>
#include <numeric>

#include "backends/mpi/agreement.hpp"
#include "backends/mpi/guard.hpp"
#include "backends/mpi/library.hpp"
#include "backends/mpi/simulated.hpp"
#include "backends/mpi/survey.hpp"
#include "backends/mpi/variants.hpp"
#include "epskew/support/error.hpp"

namespace epskew::mpi {

Communicator::Communicator(Control& control) : control_(&control) {
  const Watched watched("setting up the job (MPI_Comm_dup)", control.timeout());
  comm_ = duplicate(MPI_COMM_WORLD);
}

Communicator::~Communicator() {
  if (Library::instance().broken()) return;
  const Watched watched("leaving the job (MPI_Comm_free)", control_->timeout());
  MPI_Comm_free(&comm_);
}

SimulatedEnd::~SimulatedEnd() {
  if (is_simulated) MPI_Finalize();
}

MpiWorld::MpiWorld(const ExchangeShape& shape, const ExchangeOptions& options)
    : exceptions_at_start_(std::uncaught_exceptions()),
      control_(MPI_COMM_WORLD, options.timeout),
      comm_(control_) {
  try {
    require_same_job(control_, comm_.get(), shape, options);
    if (is_simulated) {
      facts_.simulation = simulation();  // its platform says where ranks are and what is between them
    } else {
      facts_ = survey(control_, comm_.get(), parse_variants(options).ranks_per_node);
    }
    exchange_ = make_exchange({shape, options, &control_, comm_.get()});
  } catch (...) {
    fail();
    throw;
  }
}

MpiWorld::~MpiWorld() {
  if (Library::instance().broken()) return;
  if (std::uncaught_exceptions() == exceptions_at_start_) return;
  // The caller gave up between two runs; the others would wait for this process.
  Library::instance().mark_broken();
  control_.announce({FailureKind::other, control_.name_of(control_.rank()) + " ended the run"});
}

std::vector<std::string> MpiWorld::run(const RankBody& body) {
  try {
    return gather(body(*exchange_));
  } catch (...) {
    fail();
    throw;
  }
}

void MpiWorld::require_same(const std::string& what, const std::string& value) {
  try {
    mpi::require_same(control_, comm_.get(), what, value);
  } catch (...) {
    fail();
    throw;
  }
}

WorldFacts MpiWorld::facts() {
  facts_.choices = exchange_->choices();
  facts_.copies = exchange_->copies();
  return facts_;
}

void MpiWorld::fail() {
  Library::instance().mark_broken();
  control_.announce(current_failure());
  if (!is_root()) control_.await_root();
}

std::vector<std::string> MpiWorld::gather(const std::string& report) {
  control_.enter("gathering reports");
  const auto ranks = static_cast<std::size_t>(control_.size());
  const auto length = static_cast<std::int64_t>(report.size());
  std::vector<std::int64_t> lengths(ranks);
  MPI_Request request = MPI_REQUEST_NULL;
  check(MPI_Igather(&length, 1, MPI_INT64_T, lengths.data(), 1, MPI_INT64_T, 0, comm_.get(), &request),
        "MPI_Igather");
  control_.wait(request);
  std::vector<std::string> reports;
  std::vector<MPI_Request> requests(1);
  constexpr int tag = 1;
  // One message each: the sum of all may be more than an int counts.
  if (!is_root()) {
    check(MPI_Isend(report.data(), static_cast<int>(length), MPI_BYTE, 0, tag, comm_.get(), requests.data()),
          "MPI_Isend");
  } else {
    reports.resize(ranks);
    requests.assign(ranks - 1, MPI_REQUEST_NULL);
    reports[0] = report;
    for (std::size_t from = 1; from < ranks; ++from) {
      reports[from].resize(static_cast<std::size_t>(lengths[from]));
      check(MPI_Irecv(reports[from].data(), static_cast<int>(lengths[from]), MPI_BYTE, static_cast<int>(from),
                      tag, comm_.get(), &requests[from - 1]),
            "MPI_Irecv");
    }
  }
  control_.wait_all(requests);
  return reports;
}

}  // namespace epskew::mpi
