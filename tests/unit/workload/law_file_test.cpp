#include "epskew/workload/law_file.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "epskew/support/error.hpp"
#include "helpers/usage_error.hpp"

namespace epskew {
namespace {

class LawFileTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() /
              ("epskew-law-" + std::string(::testing::UnitTest::GetInstance()->current_test_info()->name()));
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::filesystem::path write(const std::string& text) {
    std::ofstream(folder_ / "law.json") << text;
    return folder_ / "law.json";
  }

  std::string refusal(const std::string& text) {
    const std::filesystem::path file = write(text);
    return test::usage_error_of([&] { read_law(file); });
  }

  std::filesystem::path folder_;
};

TEST_F(LawFileTest, SurvivesTheRoundTrip) {
  LawFile law;
  law.level = LawLevel::expert;
  law.family = "zipf-mandelbrot";
  law.parameters = {{"q", 2.5}, {"s", 1.25}};
  law.curve = {0.0, 0.5, 2.5};
  law.provenance = R"({"trace":"a.csv"})";

  write_law(law, folder_ / "law.json");
  const LawFile back = read_law(folder_ / "law.json");

  EXPECT_EQ(back.level, law.level);
  EXPECT_EQ(back.family, law.family);
  EXPECT_EQ(back.parameters, law.parameters);
  EXPECT_EQ(back.curve, law.curve);
  EXPECT_EQ(back.provenance, law.provenance);
}

TEST_F(LawFileTest, RefusesWhatIsNoLaw) {
  EXPECT_NE(refusal("[1]").find("JSON object"), std::string::npos);
  EXPECT_NE(refusal("{"), "");
  EXPECT_NE(refusal(R"({"format":"x"})").find("format"), std::string::npos);
  EXPECT_NE(refusal(R"({"format":"epskew-law","version":2})").find("version"), std::string::npos);
  const std::string head = R"({"format":"epskew-law","version":1,)";
  EXPECT_NE(refusal(head + R"("level":"node"})").find("level"), std::string::npos);
  EXPECT_NE(refusal(head + R"("level":"rank"})").find("family"), std::string::npos);
  EXPECT_NE(refusal(head + R"("level":"rank","family":"a","curve":[2,1]})").find("ascend"),
            std::string::npos);
  EXPECT_NE(refusal(head + R"("level":"rank","family":"a","curve":["x"]})").find("numbers"),
            std::string::npos);
  EXPECT_NE(refusal(head + R"("level":"rank","family":"a","parameters":{"b":"c"}})").find("numbers"),
            std::string::npos);
}

TEST_F(LawFileTest, AnUnwritablePathLeavesNothingBehind) {
  EXPECT_THROW(write_law(LawFile{}, folder_ / "missing" / "law.json"), UsageError);
  EXPECT_TRUE(std::filesystem::is_empty(folder_));
}

TEST(ApplyLaw, SetsFamilyAndShapeWhereThereIsNoFactor) {
  WorkloadSpec spec;

  apply_law({LawLevel::expert, "gamma", {{"shape", 2.0}}, {}, {}}, spec);

  EXPECT_EQ(spec.level, LawLevel::expert);
  EXPECT_EQ(spec.family, Family::gamma);
  EXPECT_EQ(spec.shape, 2.0);
}

TEST(ApplyLaw, AFactorBendsTheLaw) {
  WorkloadSpec spec;
  spec.factor = 2.0;

  apply_law({LawLevel::rank, "weibull", {{"shape", 2.0}}, {}, {}}, spec);

  EXPECT_EQ(spec.family, Family::weibull);
  EXPECT_EQ(spec.shape, std::nullopt);
}

TEST(ApplyLaw, AnUnknownFamilyNeedsACurve) {
  WorkloadSpec spec;

  EXPECT_THROW(apply_law({LawLevel::rank, "pareto", {}, {}, {}}, spec), UsageError);
  EXPECT_THROW(apply_law({LawLevel::rank, "gamma", {{"sigma", 1.0}}, {}, {}}, spec), UsageError);
  apply_law({LawLevel::rank, "pareto", {}, {1.0, 2.0}, {}}, spec);

  EXPECT_EQ(spec.curve, (std::vector<double>{1.0, 2.0}));
  EXPECT_EQ(spec.curve_name, "pareto");
}

}  // namespace
}  // namespace epskew
