#pragma once

/// An exception that can travel between processes.

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace epskew::mpi {

enum class FailureKind : std::int32_t { other, usage, wrong_result, rank_lost, environment };

struct Failure {
  FailureKind kind = FailureKind::other;
  std::string text;
};

/// The exception being handled. Call inside a catch block.
Failure current_failure();
/// Throws the type that `failure` names.
[[noreturn]] void raise(const Failure& failure);

std::vector<char> encode(const Failure& failure);
Failure decode(const std::vector<char>& bytes);

}  // namespace epskew::mpi
