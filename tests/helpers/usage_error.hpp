#pragma once

#include <string>

#include "epskew/support/error.hpp"

namespace epskew::test {

/// The message of the UsageError that `act` throws; "" where it throws none. Any other exception passes.
template <class Act>
std::string usage_error_of(Act&& act) {
  try {
    act();
  } catch (const UsageError& error) {
    return error.what();
  }
  return "";
}

}  // namespace epskew::test
