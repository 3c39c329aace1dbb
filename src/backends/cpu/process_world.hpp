#pragma once

/// A world of rank processes on this machine, and the parent that watches over them.

#include <optional>
#include <string>
#include <vector>

#include "backends/cpu/cpu_exchange.hpp"
#include "backends/cpu/pinning.hpp"
#include "backends/cpu/process.hpp"
#include "epskew/exchange/world.hpp"

namespace epskew::cpu {

class ProcessWorld final : public World {
 public:
  ProcessWorld(const ExchangeShape& shape, const ExchangeOptions& options) : shared_(shape, options) {}

  bool is_root() const override { return true; }
  std::vector<std::string> run(const RankBody& body) override;
  std::vector<LostRank> lost_ranks() const override { return lost_; }
  WorldFacts facts() override;

 private:
  SharedWorld shared_;
  Pinning pinning_;
  std::vector<LostRank> lost_;
};

}  // namespace epskew::cpu
