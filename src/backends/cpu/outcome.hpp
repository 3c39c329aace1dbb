#pragma once

/// How a rank process ended, as bytes through a pipe: a report or an exception with its type.

#include <exception>
#include <optional>
#include <string>

namespace epskew::cpu {

struct Outcome {
  enum class Kind : char {
    report,
    usage_error,
    wrong_result,
    rank_lost,
    environment_error,
    other_error,
    aborted  ///< ended because somebody else did; the text says for whom this rank waited
  };
  Kind kind = Kind::report;
  std::string text;
};

/// The outcome of an exception in flight.
Outcome outcome_of(const std::exception_ptr& error);
/// Throws what `outcome` stands for; it must not be a report.
[[noreturn]] void rethrow(const Outcome& outcome);

/// Writes all of it; false where the reader has gone.
bool write_outcome(int pipe, const Outcome& outcome);
/// nullopt where `bytes` is not one whole outcome: the writer died on the way.
std::optional<Outcome> decode_outcome(const std::string& bytes);

}  // namespace epskew::cpu
