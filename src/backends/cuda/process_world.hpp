#pragma once

/// A job of one process per rank on one machine: each with a GPU of its own, or several on one GPU in turn.

#include <memory>

#include "backends/cuda/bootstrap.hpp"
#include "backends/cuda/device_exchange.hpp"

namespace epskew::cuda {

class ProcessWorld final : public World {
 public:
  /// Collective over the job. Throws UsageError where the processes were started differently.
  ProcessWorld(const ExchangeShape& shape, const ExchangeOptions& options, const Job& job);

  bool is_root() const override { return bootstrap_.rank() == 0; }
  std::vector<std::string> run(const RankBody& body) override;
  void require_same(const std::string& what, const std::string& value) override;
  WorldFacts facts() override { return facts_; }

 private:
  void set_up(const ExchangeShape& shape, const ExchangeOptions& options);
  /// Runs `step`; should it throw, the others are told.
  template <class Step>
  auto together(Step step);

  Bootstrap bootstrap_;
  std::unique_ptr<DeviceExchange> exchange_;
  WorldFacts facts_;
};

}  // namespace epskew::cuda
