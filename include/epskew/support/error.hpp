#pragma once

/// The kinds of failure and the exit code each one means at the command line.
///
/// A message states the problem, in parentheses why it is one, then the remedy:
/// "--imbalance-factors 9 is out of reach (8 ranks of 36 experts can take at most 8.00); choose 8.00 or less".

#include <stdexcept>
#include <string>

namespace epskew {

/// The user's mistake. Always checked, thrown before any resource is touched. Exit code 2.
class UsageError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// The oracle found a wrong result. Exit code 3.
class WrongResult : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// A rank died, or a wait ran out of time; the message names who waited, for whom, and in which phase. Exit code 4.
class RankLost : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// The environment refused something (a system call, a library). Exit code 1.
class EnvironmentError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Throws EnvironmentError "<call> failed: <strerror(errno)>".
[[noreturn]] void throw_errno(const std::string& call);

namespace detail {
[[noreturn]] void contract_failed(const char* kind, const char* expression, const char* file, int line,
                                  const char* function);
}

}  // namespace epskew

/// Internal contracts: precondition (EXPECT) and invariant (ASSERT). On with EPSKEW_CONTRACTS, else not evaluated.
#if EPSKEW_CONTRACTS
#define EPSKEW_CHECK_(kind, ...) \
  ((__VA_ARGS__) ? void() : ::epskew::detail::contract_failed(kind, #__VA_ARGS__, __FILE__, __LINE__, __func__))
#else
#define EPSKEW_CHECK_(kind, ...) void(sizeof(!(__VA_ARGS__)))
#endif
#define EPSKEW_EXPECT(...) EPSKEW_CHECK_("precondition", __VA_ARGS__)
#define EPSKEW_ASSERT(...) EPSKEW_CHECK_("invariant", __VA_ARGS__)
