#include "backends/mpi/failure.hpp"

#include <cstring>
#include <exception>

#include "epskew/support/error.hpp"

namespace epskew::mpi {
namespace {

/// Messages below this size are sent without waiting for the receiver by every MPI.
constexpr std::size_t longest_text = 1500;

}  // namespace

Failure current_failure() {
  try {
    throw;
  } catch (const UsageError& error) {
    return {FailureKind::usage, error.what()};
  } catch (const WrongResult& error) {
    return {FailureKind::wrong_result, error.what()};
  } catch (const RankLost& error) {
    return {FailureKind::rank_lost, error.what()};
  } catch (const EnvironmentError& error) {
    return {FailureKind::environment, error.what()};
  } catch (const std::exception& error) {
    return {FailureKind::other, error.what()};
  } catch (...) {
    return {FailureKind::other, "unknown failure"};
  }
}

void raise(const Failure& failure) {
  switch (failure.kind) {
    case FailureKind::usage:
      throw UsageError(failure.text);
    case FailureKind::wrong_result:
      throw WrongResult(failure.text);
    case FailureKind::rank_lost:
      throw RankLost(failure.text);
    case FailureKind::environment:
      throw EnvironmentError(failure.text);
    case FailureKind::other:
      break;
  }
  throw std::runtime_error(failure.text);
}

std::vector<char> encode(const Failure& failure) {
  const std::string text = failure.text.substr(0, longest_text);
  std::vector<char> bytes(sizeof(failure.kind) + text.size());
  std::memcpy(bytes.data(), &failure.kind, sizeof(failure.kind));
  std::memcpy(bytes.data() + sizeof(failure.kind), text.data(), text.size());
  return bytes;
}

Failure decode(const std::vector<char>& bytes) {
  Failure failure;
  if (bytes.size() < sizeof(failure.kind)) return {FailureKind::other, "unreadable failure report"};
  std::memcpy(&failure.kind, bytes.data(), sizeof(failure.kind));
  failure.text.assign(bytes.begin() + sizeof(failure.kind), bytes.end());
  return failure;
}

}  // namespace epskew::mpi
