#include "backends/mpi/failure.hpp"

#include <gtest/gtest.h>

#include "epskew/support/error.hpp"

namespace epskew::mpi {
namespace {

/// `error` as another process would throw it.
template <class Error>
void send_and_raise(const Error& error) {
  std::vector<char> bytes;
  try {
    throw error;
  } catch (...) {
    bytes = encode(current_failure());
  }
  raise(decode(bytes));
}

template <class Error>
class FailureOf : public ::testing::Test {};
using Errors = ::testing::Types<UsageError, WrongResult, RankLost, EnvironmentError>;
TYPED_TEST_SUITE(FailureOf, Errors);

TYPED_TEST(FailureOf, ArrivesWithItsTypeAndText) {
  try {
    send_and_raise(TypeParam("rank 3 is gone"));
    FAIL() << "nothing was thrown";
  } catch (const TypeParam& error) {
    EXPECT_STREQ(error.what(), "rank 3 is gone");
  }
}

TEST(Failure, OtherExceptionsKeepTheirText) {
  try {
    send_and_raise(std::out_of_range("index 7"));
    FAIL() << "nothing was thrown";
  } catch (const std::runtime_error& error) {
    EXPECT_STREQ(error.what(), "index 7");
  }
}

TEST(Failure, LongTextIsCutToWhatIsSentWithoutWaiting) {
  const Failure failure = decode(encode({FailureKind::other, std::string(100'000, 'x')}));

  EXPECT_EQ(failure.text, std::string(1500, 'x'));
}

TEST(Failure, TooFewBytesAreNotRead) {
  EXPECT_EQ(decode({'a'}).text, "unreadable failure report");
}

}  // namespace
}  // namespace epskew::mpi
