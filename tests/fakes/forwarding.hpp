#pragma once

/// Stand-ins that pass everything on to the reference backend, so that a test can change one thing.

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "epskew/backends/registry.hpp"

namespace epskew::test {

class ForwardingExchange : public Exchange {
 public:
  explicit ForwardingExchange(Exchange& inner) : inner_(inner) {}

  const ExchangeShape& shape() const override { return inner_.shape(); }
  const ExchangeOptions& options() const override { return inner_.options(); }
  std::span<const int> local_ranks() const override { return inner_.local_ranks(); }
  void set_input(int local, int batch, const RankInput& input) override {
    inner_.set_input(local, batch, input);
  }
  void dispatch_send(int batch) override { inner_.dispatch_send(batch); }
  void dispatch_recv(int batch) override { inner_.dispatch_recv(batch); }
  void combine_send(int batch) override { inner_.combine_send(batch); }
  void combine_recv(int batch) override { inner_.combine_recv(batch); }
  void dispatch(int batch) override { inner_.dispatch(batch); }
  void combine(int batch) override { inner_.combine(batch); }
  DispatchOutput dispatch_output(int local, int batch) override {
    return inner_.dispatch_output(local, batch);
  }
  std::span<BFloat16> expert_output(int local, int batch) override {
    return inner_.expert_output(local, batch);
  }
  void commit_expert_output(int local, int batch) override { inner_.commit_expert_output(local, batch); }
  std::span<const BFloat16> combine_output(int local, int batch) override {
    return inner_.combine_output(local, batch);
  }
  void align() override { inner_.align(); }
  void measure(TimingMode mode, std::span<IterationSample> samples) override {
    inner_.measure(mode, samples);
  }
  CombineRounding combine_rounding() const override { return inner_.combine_rounding(); }
  MemoryUse memory(int local) const override { return inner_.memory(local); }

 private:
  Exchange& inner_;
};

/// Makes the exchange that stands before `inner`.
using Wrap = std::function<std::unique_ptr<Exchange>(Exchange& inner)>;

class ForwardingWorld final : public World {
 public:
  ForwardingWorld(std::unique_ptr<World> inner, Wrap wrap, WorldFacts facts)
      : inner_(std::move(inner)), wrap_(std::move(wrap)), facts_(std::move(facts)) {}
  bool is_root() const override { return inner_->is_root(); }
  std::vector<std::string> run(const RankBody& body) override {
    return inner_->run([&](Exchange& exchange) { return body(*wrap_(exchange)); });
  }
  WorldFacts facts() override { return facts_; }

 private:
  std::unique_ptr<World> inner_;
  Wrap wrap_;
  WorldFacts facts_;
};

/// The reference backend with another exchange before it.
class ForwardingBackend final : public Backend {
 public:
  explicit ForwardingBackend(Wrap wrap, WorldFacts facts = {})
      : wrap_(std::move(wrap)), facts_(std::move(facts)) {}
  std::string_view name() const override { return "fake"; }
  std::string_view summary() const override { return "a test's"; }
  std::optional<std::string> unusable() const override { return std::nullopt; }
  std::vector<std::string> facts() const override { return {"clock: injected"}; }
  std::unique_ptr<World> make_world(const ExchangeShape& shape,
                                    const ExchangeOptions& options) const override {
    return std::make_unique<ForwardingWorld>(find_backend("reference")->make_world(shape, options), wrap_,
                                             facts_);
  }

 private:
  Wrap wrap_;
  WorldFacts facts_;
};

}  // namespace epskew::test
