#include "epskew/routing/placement.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "epskew/support/error.hpp"

namespace epskew {
namespace {

TEST(Placement, ContiguousIsTheIdentity) {
  EXPECT_EQ(contiguous_placement(4).slot_of_expert, (std::vector<std::int32_t>{0, 1, 2, 3}));
}

TEST(Placement, SpreadPutsExpertEOnRankEModRanks) {
  const Placement placement = spread_placement(6, 2);

  EXPECT_EQ(placement.slot_of_expert, (std::vector<std::int32_t>{0, 3, 1, 4, 2, 5}));
}

TEST(Placement, RandomIsAPermutationOfTheSeed) {
  const Placement placement = random_placement(64, 7);

  EXPECT_NO_THROW(validate(placement, 64, "random"));
  EXPECT_EQ(placement, random_placement(64, 7));
  EXPECT_NE(placement, random_placement(64, 8));
}

TEST(Placement, ValidateRefusesWhatIsNoPermutation) {
  EXPECT_THROW(validate({{0, 1}}, 3, "p"), UsageError);
  EXPECT_THROW(validate({{0, 0, 1}}, 3, "p"), UsageError);
  EXPECT_THROW(validate({{0, 1, 3}}, 3, "p"), UsageError);
  EXPECT_THROW(validate({{0, 1, -1}}, 3, "p"), UsageError);
}

class PlacementFile : public ::testing::Test {
 protected:
  void TearDown() override { std::filesystem::remove(file_); }
  Placement read(const std::string& text) {
    std::ofstream(file_) << text;
    return read_placement(file_, 3);
  }

  std::filesystem::path file_ =
      std::filesystem::temp_directory_path() /
      (std::string("epskew-placement-") + ::testing::UnitTest::GetInstance()->current_test_info()->name());
};

TEST_F(PlacementFile, IsRead) {
  const Placement placement = read(R"({"format":"epskew-placement","version":1,"slot_of_expert":[2,0,1]})");

  EXPECT_EQ(placement.slot_of_expert, (std::vector<std::int32_t>{2, 0, 1}));
}

TEST_F(PlacementFile, IsRefusedWhereItIsNone) {
  EXPECT_THROW(read_placement(file_, 3), UsageError);
  EXPECT_THROW(read("[]"), UsageError);
  EXPECT_THROW(read(R"({"format":"x","version":1,"slot_of_expert":[2,0,1]})"), UsageError);
  EXPECT_THROW(read(R"({"format":"epskew-placement","version":2,"slot_of_expert":[2,0,1]})"), UsageError);
  EXPECT_THROW(read(R"({"format":"epskew-placement","version":1})"), UsageError);
  EXPECT_THROW(read(R"({"format":"epskew-placement","version":1,"slot_of_expert":[2,0,"1"]})"), UsageError);
  EXPECT_THROW(read(R"({"format":"epskew-placement","version":1,"slot_of_expert":[2,0,99999999999]})"),
               UsageError);
  EXPECT_THROW(read(R"({"format":"epskew-placement","version":1,"slot_of_expert":[2,0]})"), UsageError);
}

}  // namespace
}  // namespace epskew
