#pragma once

/// What users hand to the readers of result files by mistake.

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace epskew {

/// Throws UsageError for text that is no JSON but in a format known here: says what it is, and which command
/// reads it. `source` is the file's name.
void refuse_other_formats(std::string_view text, const std::string& source);

/// The same for JSON that another command wrote.
void refuse_other_documents(const nlohmann::json& document, const std::string& source);

}  // namespace epskew
