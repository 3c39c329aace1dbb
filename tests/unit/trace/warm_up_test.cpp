#include <gtest/gtest.h>

#include <string>

#include "epskew/trace/trace.hpp"
#include "helpers/temp_folder.hpp"

namespace epskew {
namespace {

std::string row(int expert) {
  return R"({"layer":0,"topk_ids":[)" + std::to_string(expert) + "]}\n";
}

std::string rows(int expert, int times) {
  std::string text;
  for (int i = 0; i < times; ++i) text += row(expert);
  return text;
}

TEST(WarmUp, LongRunsAreCountedAndKeptUnlessAskedOtherwise) {
  const test::TempFolder folder;
  const auto file =
      folder.write("t.jsonl", row(1) + rows(0, warm_up_run) + row(2) + rows(3, warm_up_run - 1));

  const Trace kept = read_trace(file, {});
  const Trace dropped = read_trace(file, {.drop_constant = true});

  EXPECT_EQ(kept.constant_rows, warm_up_run);
  EXPECT_EQ(kept.layers.at(0).num_tokens(), 2 * warm_up_run + 1);
  EXPECT_EQ(dropped.constant_rows, warm_up_run);
  EXPECT_EQ(dropped.layers.at(0).counts, (std::vector<std::int64_t>{0, 1, 1, warm_up_run - 1}));
}

TEST(WarmUp, RowsBehindARunKeepTheirWeights) {
  const test::TempFolder folder;
  std::string text;
  for (int i = 0; i < warm_up_run; ++i)
    text += R"({"layer":0,"topk_ids":[0],"topk_weights":[0.5]})"
            "\n";
  text += R"({"layer":0,"topk_ids":[1],"topk_weights":[0.25]})"
          "\n";

  const Trace trace = read_trace(folder.write("t.jsonl", text), {.drop_constant = true});

  EXPECT_EQ(trace.layers.at(0).topk_idx, (std::vector<std::int32_t>{1}));
  EXPECT_EQ(trace.layers.at(0).topk_weights, (std::vector<float>{0.25f}));
}

}  // namespace
}  // namespace epskew
