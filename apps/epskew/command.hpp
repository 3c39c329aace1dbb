#pragma once

/// One function a command: adds its subcommand with flags and a callback that runs it. Parsing and wiring only.

#include <CLI/CLI.hpp>

namespace epskew::app {

void add_info(CLI::App& app);

}  // namespace epskew::app
