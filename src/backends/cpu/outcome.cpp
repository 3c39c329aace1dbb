#include "backends/cpu/outcome.hpp"

#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>

#include "backends/cpu/cpu_exchange.hpp"

namespace epskew::cpu {
namespace {

constexpr std::size_t header_bytes = 1 + sizeof(std::uint64_t);

bool write_all(int pipe, const char* data, std::size_t size) {
  while (size > 0) {
    const ssize_t written = write(pipe, data, size);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    data += written;
    size -= static_cast<std::size_t>(written);
  }
  return true;
}

}  // namespace

Outcome outcome_of(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const RunAborted& caught) {
    return {Outcome::Kind::aborted, caught.what()};
  } catch (const RankLost& caught) {
    return {Outcome::Kind::rank_lost, caught.what()};
  } catch (const UsageError& caught) {
    return {Outcome::Kind::usage_error, caught.what()};
  } catch (const WrongResult& caught) {
    return {Outcome::Kind::wrong_result, caught.what()};
  } catch (const EnvironmentError& caught) {
    return {Outcome::Kind::environment_error, caught.what()};
  } catch (const std::exception& caught) {
    return {Outcome::Kind::other_error, caught.what()};
  } catch (...) {
    return {Outcome::Kind::other_error, "an exception of unknown type"};
  }
}

void rethrow(const Outcome& outcome) {
  switch (outcome.kind) {
    case Outcome::Kind::usage_error:
      throw UsageError(outcome.text);
    case Outcome::Kind::wrong_result:
      throw WrongResult(outcome.text);
    case Outcome::Kind::rank_lost:
    case Outcome::Kind::aborted:
      throw RankLost(outcome.text);
    case Outcome::Kind::environment_error:
      throw EnvironmentError(outcome.text);
    case Outcome::Kind::report:
    case Outcome::Kind::other_error:
      break;
  }
  throw std::runtime_error(outcome.text);
}

bool write_outcome(int pipe, const Outcome& outcome) {
  std::string header(header_bytes, '\0');
  header[0] = static_cast<char>(outcome.kind);
  const std::uint64_t size = outcome.text.size();
  std::memcpy(header.data() + 1, &size, sizeof size);
  return write_all(pipe, header.data(), header.size()) &&
         write_all(pipe, outcome.text.data(), outcome.text.size());
}

std::optional<Outcome> decode_outcome(const std::string& bytes) {
  if (bytes.size() < header_bytes) return std::nullopt;
  std::uint64_t size = 0;
  std::memcpy(&size, bytes.data() + 1, sizeof size);
  if (bytes.size() != header_bytes + size) return std::nullopt;
  return Outcome{static_cast<Outcome::Kind>(bytes[0]), bytes.substr(header_bytes)};
}

}  // namespace epskew::cpu
