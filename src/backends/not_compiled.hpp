#pragma once

#include <utility>

#include "epskew/backends/registry.hpp"
#include "epskew/support/error.hpp"

namespace epskew {

/// Stands in for a backend that this build left out: it says so, and how to get it.
class NotCompiled final : public Backend {
 public:
  NotCompiled(std::string_view name, std::string_view summary, std::string remedy)
      : name_(name), summary_(summary), remedy_(std::move(remedy)) {}

  std::string_view name() const override { return name_; }
  std::string_view summary() const override { return summary_; }
  std::optional<std::string> unusable() const override { return "not compiled in; " + remedy_; }
  std::vector<std::string> facts() const override { return {}; }
  std::unique_ptr<World> make_world(const ExchangeShape&, const ExchangeOptions&) const override {
    throw UsageError("--backend " + std::string(name_) + " is not available (not compiled in); " + remedy_);
  }

 private:
  std::string_view name_;
  std::string_view summary_;
  std::string remedy_;
};

}  // namespace epskew
