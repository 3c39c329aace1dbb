#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace epskew {

/// A place in a recording, for messages: "intent.jsonl, line 12". Cheap: text is made only when something is
/// wrong.
struct Where {
  std::string_view file;
  std::string_view unit;    ///< "line", "token", "step"; empty where the file as a whole is meant
  std::int64_t number = 0;  ///< counted from 1 for lines, from 0 for array indices

  std::string text() const {
    std::string text(file);
    if (!unit.empty()) text.append(", ").append(unit).append(" ").append(std::to_string(number));
    return text;
  }
};

}  // namespace epskew
