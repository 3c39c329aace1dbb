#pragma once

/// What is wrong with a command line that cannot be parsed, in the words of the program's other messages.

#include <CLI/CLI.hpp>
#include <string>

namespace epskew::app {

/// "problem (why); remedy" for `error`, which parsing `app` threw: an unknown word comes with the flag or
/// command nearest in spelling, everything with the help of the command that was meant.
std::string explain(const CLI::App& app, const CLI::ParseError& error);

}  // namespace epskew::app
