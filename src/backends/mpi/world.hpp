#pragma once

/// The processes of an MPI job as a world of ranks, one rank a process.

#include <memory>

#include "backends/mpi/control.hpp"
#include "backends/mpi/mpi_exchange.hpp"
#include "epskew/exchange/world.hpp"

namespace epskew::mpi {

/// A communicator of its own, given back in the end.
class Communicator {
 public:
  explicit Communicator(Control& control);
  ~Communicator();
  Communicator(const Communicator&) = delete;
  Communicator& operator=(const Communicator&) = delete;
  MPI_Comm get() const { return comm_; }

 private:
  Control* control_;
  MPI_Comm comm_ = MPI_COMM_NULL;
};

/// Ends MPI with the only world of a simulated rank: objects that live longer are destroyed outside of the
/// simulation.
class SimulatedEnd {
 public:
  SimulatedEnd() = default;
  ~SimulatedEnd();
  SimulatedEnd(const SimulatedEnd&) = delete;
  SimulatedEnd& operator=(const SimulatedEnd&) = delete;
};

class MpiWorld final : public World {
 public:
  /// Collective over the job. Throws UsageError in every process where the processes do not agree.
  MpiWorld(const ExchangeShape& shape, const ExchangeOptions& options);
  ~MpiWorld() override;

  bool is_root() const override { return control_.rank() == 0; }
  std::vector<std::string> run(const RankBody& body) override;
  void require_same(const std::string& what, const std::string& value) override;
  WorldFacts facts() override;

 private:
  /// Tells the others why this process ends, and makes sure that the root has heard it. Call inside a catch
  /// block.
  void fail();
  std::vector<std::string> gather(const std::string& report);

  SimulatedEnd end_;  ///< destroyed after all that uses MPI
  int exceptions_at_start_;
  Control control_;
  Communicator comm_;
  std::unique_ptr<MpiExchange> exchange_;
  WorldFacts facts_;
};

}  // namespace epskew::mpi
