#include "epskew/report/csv.hpp"

#include <gtest/gtest.h>

#include <string>

#include "unit/report/sample_record.hpp"

namespace epskew {
namespace {

TEST(Csv, TextWithSeparatorsIsOneField) {
  Record record = test::sample_record();
  record.rounds[0].label = "layer \"3\", window 1";

  const std::string csv = to_csv(record);

  EXPECT_NE(csv.find("\n\"layer \"\"3\"\", window 1\","), std::string::npos);
}

}  // namespace
}  // namespace epskew
