#pragma once

/// Values that CLI11 would take for others than were meant.

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace epskew::app {

/// Throws UsageError for an empty value ("$N" of a variable that is not set, which would count as no flag at
/// all) and for a list with an empty place ("1,,2", which would be one shorter). `words` is the command line
/// without the program.
void refuse_empty_values(const std::vector<std::string>& words);

/// Makes every whole number of `app` and its commands be read as it stands: 010 is ten, not eight, and what
/// no 64-bit number holds, or is below 0 where counting starts there, is a UsageError.
void read_whole_numbers_as_they_stand(CLI::App& app);

}  // namespace epskew::app
