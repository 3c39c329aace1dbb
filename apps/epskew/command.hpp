#pragma once

/// One function a command: adds its subcommand with flags and a callback that runs it. Parsing and wiring
/// only.

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace epskew::app {

/// `argv` is the whole command line, for the record.
void add_bench(CLI::App& app, const std::vector<std::string>& argv);
void add_fit(CLI::App& app, const std::vector<std::string>& argv);
void add_gen(CLI::App& app);
void add_info(CLI::App& app);
void add_inspect(CLI::App& app);
void add_report(CLI::App& app);
void add_compare(CLI::App& app);

}  // namespace epskew::app
