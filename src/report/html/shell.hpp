#pragma once

#include <string>
#include <vector>

namespace epskew {

/// Words as one line that a POSIX shell reads back as these words.
std::string command_line(const std::vector<std::string>& argv);

}  // namespace epskew
