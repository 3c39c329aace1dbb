#pragma once

#include "epskew/report/record.hpp"

namespace epskew::test {

/// A small run with every kind of field: two ranks, a uniform, a balanced and a skewed round, one phase not
/// measured.
Record sample_record();

}  // namespace epskew::test
