#include "backends/reference/backend.hpp"

#include "backends/reference/reference_exchange.hpp"
#include "epskew/support/error.hpp"

namespace epskew {
namespace {

class ReferenceWorld final : public World {
 public:
  ReferenceWorld(const ExchangeShape& shape, const ExchangeOptions& options) : exchange_(shape, options) {}

  bool is_root() const override { return true; }
  std::vector<std::string> run(const RankBody& body) override { return {body(exchange_)}; }

 private:
  ReferenceExchange exchange_;
};

class ReferenceBackend final : public Backend {
 public:
  std::string_view name() const override { return "reference"; }
  std::string_view summary() const override { return "all ranks in one thread, the plain truth"; }
  std::optional<std::string> unusable() const override { return std::nullopt; }
  std::vector<std::string> facts() const override { return {}; }
  std::unique_ptr<World> make_world(const ExchangeShape& shape,
                                    const ExchangeOptions& options) const override {
    validate(shape, options);
    if (options.shrink) {
      throw UsageError(
          "--shrink-test is not known to --backend reference (all its ranks are one process); use --backend "
          "cpu");
    }
    if (!options.variants.empty()) {
      throw UsageError("--backend reference has no variant '" + options.variants.begin()->first +
                       "' (it has one way to do it); leave it out");
    }
    return std::make_unique<ReferenceWorld>(shape, options);
  }
};

}  // namespace

const Backend& reference_backend() {
  static const ReferenceBackend backend;
  return backend;
}

}  // namespace epskew
