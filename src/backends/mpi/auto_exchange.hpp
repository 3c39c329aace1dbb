#pragma once

/// Tries every algorithm on the first operations and goes on with the fastest.
///
/// Each candidate does two operations, of which the second counts: the time that its four phases take on the
/// slowest rank (experts' work not included). All ranks take the same decision at the same operation.

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "backends/mpi/mpi_exchange.hpp"

namespace epskew::mpi {

struct Candidate {
  std::string name;
  std::unique_ptr<MpiExchange> exchange;
};

class AutoExchange final : public MpiExchange {
 public:
  AutoExchange(const Setting& setting, std::vector<Candidate> candidates);

  void set_input(int local, int batch, const RankInput& input) override;
  void dispatch_send(int batch) override;
  void dispatch_recv(int batch) override;
  void combine_send(int batch) override;
  void combine_recv(int batch) override;
  DispatchOutput dispatch_output(int local, int batch) override;
  std::span<BFloat16> expert_output(int local, int batch) override;
  std::span<const BFloat16> combine_output(int local, int batch) override;
  MemoryUse memory(int local) const override;
  std::vector<std::string> choices() const override;
  WireCopies copies() override;

 private:
  static constexpr int operations_each = 2;
  /// One micro-batch: whom its latest operation went to.
  struct Batch {
    int operations = 0;
    std::size_t candidate = 0;
    double phases_us = 0;
  };
  Batch& at(int batch) { return batches_[static_cast<std::size_t>(batch)]; }
  MpiExchange& current(int batch) { return *candidates_[at(batch).candidate].exchange; }
  template <class Call>
  void timed(int batch, Call&& call);
  std::size_t next_candidate(const Batch& state) const;
  void decide();

  std::vector<Candidate> candidates_;
  std::vector<Batch> batches_;
  std::vector<double> us_;  ///< [candidates] of micro-batch 0, on this rank; on the slowest once decided
  bool decided_ = false;
  bool tried_ = false;  ///< since copies() was last called
  std::size_t chosen_ = 0;
};

}  // namespace epskew::mpi
