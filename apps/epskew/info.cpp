#include <fmt/format.h>

#include "command.hpp"
#include "epskew/backends/registry.hpp"

namespace epskew::app {
namespace {

void print_info() {
  fmt::print("epskew {}\n\nbackends\n", EPSKEW_VERSION);
  for (const Backend* backend : all_backends()) {
    const auto reason = backend->unusable();
    fmt::print("  {:<10} {:<8} {}\n", backend->name(), reason ? "no" : "yes", backend->summary());
    if (reason) fmt::print("  {:<10} {:<8} {}\n", "", "", *reason);
    for (const std::string& fact : backend->facts()) fmt::print("  {:<10} {:<8} {}\n", "", "", fact);
  }
  fmt::print("\ndefault backend: {}\n", default_backend().name());
}

}  // namespace

void add_info(CLI::App& app) {
  app.add_subcommand("info", "backends: compiled, usable here, and if not, why; devices, libraries, versions")
      ->callback(print_info);
}

}  // namespace epskew::app
