#pragma once

/// Every backend there is, compiled in or not.

#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "epskew/exchange/world.hpp"

namespace epskew {

/// A process's place in a world whose processes somebody else started: torchrun, mpirun, a program of one's own.
struct Membership {
  int rank = 0;
  /// A folder that all processes of the world see, empty before the first one joins. It may go once all have joined.
  std::filesystem::path meeting_place;
};

class Backend {
 public:
  virtual ~Backend() = default;
  virtual std::string_view name() const = 0;
  virtual std::string_view summary() const = 0;
  /// nullopt where it can run here; else why not and how to get it.
  virtual std::optional<std::string> unusable() const = 0;
  /// Facts for `info` and provenance, "library: version" lines.
  virtual std::vector<std::string> facts() const = 0;
  /// Throws UsageError where unusable() or for shapes and variants it does not take. Touches no resource before that.
  virtual std::unique_ptr<World> make_world(const ExchangeShape& shape, const ExchangeOptions& options) const = 0;
  /// This process's exchange in a world of shape.num_ranks such processes; collective. Throws UsageError as make_world,
  /// and where the backend starts its ranks itself or not at all; RankLost where another process does not come.
  virtual std::unique_ptr<Exchange> join(const ExchangeShape& shape, const ExchangeOptions& options,
                                         const Membership& membership) const;
};

/// In order of preference for `bench`: the first usable one that runs the main job is the default.
std::span<const Backend* const> all_backends();
/// nullptr for an unknown name.
const Backend* find_backend(std::string_view name);
const Backend& default_backend();

}  // namespace epskew
