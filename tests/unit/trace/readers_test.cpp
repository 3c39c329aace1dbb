#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "epskew/trace/trace.hpp"
#include "helpers/binary_files.hpp"
#include "helpers/temp_folder.hpp"

namespace epskew {
namespace {

using Counts = std::vector<std::int64_t>;
using Ids = std::vector<std::int32_t>;
using Weights = std::vector<float>;

std::filesystem::path data(const std::string& name) {
  return std::filesystem::path(EPSKEW_SOURCE_DIR) / "tests/unit/trace/data" / name;
}

TEST(ReadTrace, EsftFolderIsOneLayerAFile) {
  const Trace trace = read_trace(data("esft"), {.topk = 3});

  EXPECT_EQ(trace.format, "esft");
  EXPECT_EQ(trace.num_experts, 4);
  EXPECT_TRUE(trace.num_experts_inferred);
  ASSERT_EQ(trace.layers.size(), 2u);
  EXPECT_EQ(trace.layers[0].layer, 4);
  EXPECT_EQ(trace.layers[0].num_tokens(), 3);
  EXPECT_EQ(trace.layers[0].topk_idx, (Ids{2, 0, 1, 3, 0, 2, 1, 2, 3}));
  EXPECT_EQ(trace.layers[0].topk_weights, (Weights{0.5f, 0.25f, 0.125f, 0.5f, 0.25f, 0.0f, 1, 2, 4}));
  EXPECT_EQ(trace.layers[0].counts, (Counts{2, 2, 3, 2}));
  EXPECT_EQ(trace.layers[1].layer, 11);
  EXPECT_EQ(trace.layers[1].counts, (Counts{3, 3, 2, 1}));
}

TEST(ReadTrace, EsftFileTakesItsLayerFromItsName) {
  const Trace trace = read_trace(data("esft/expert_weights_11.txt"), {.topk = 3});

  ASSERT_EQ(trace.layers.size(), 1u);
  EXPECT_EQ(trace.layers[0].layer, 11);
}

TEST(ReadTrace, OnlyTheWantedLayers) {
  const Trace trace = read_trace(data("esft"), {.topk = 3, .layers = {11}});

  ASSERT_EQ(trace.layers.size(), 1u);
  EXPECT_EQ(trace.layers[0].layer, 11);
  EXPECT_EQ(trace.num_experts, 4) << "the recording's experts, whatever layers are wanted";
}

TEST(ReadTrace, CsvRowsThatAreMissingAreZero) {
  const Trace trace = read_trace(data("counts.csv"), {.num_experts = 5});

  EXPECT_EQ(trace.format, "csv");
  ASSERT_EQ(trace.layers.size(), 2u);
  EXPECT_EQ(trace.layers[0].topk, 0);
  EXPECT_EQ(trace.layers[0].counts, (Counts{5, 0, 7, 0, 0}));
  EXPECT_EQ(trace.layers[1].layer, 3);
  EXPECT_EQ(trace.layers[1].counts, (Counts{0, 4, 0, 1, 0}));
}

TEST(ReadTrace, CsvHeaderOrdersTheColumns) {
  const Trace trace = read_trace(data("sglang_2025_04.csv"), {});

  ASSERT_EQ(trace.layers.size(), 2u);
  EXPECT_EQ(trace.layers[0].counts, (Counts{5, 0}));
  EXPECT_EQ(trace.layers[1].layer, 3);
  EXPECT_EQ(trace.layers[1].counts, (Counts{0, 4}));
}

TEST(ReadTrace, CsvNeedsNoHeader) {
  const test::TempFolder folder;

  const Trace trace = read_trace(folder.write("t.csv", "0, 0, 1\r\n0, 1, 2\r\n"), {});

  EXPECT_EQ(trace.layers.at(0).counts, (Counts{1, 2}));
}

TEST(ReadTrace, VllmLinesWithMetaAndMaskedEntries) {
  const Trace trace = read_trace(data("vllm.jsonl"), {});

  EXPECT_EQ(trace.format, "jsonl");
  EXPECT_EQ(trace.num_experts, 8);
  EXPECT_FALSE(trace.num_experts_inferred);
  ASSERT_EQ(trace.layers.size(), 2u);
  EXPECT_EQ(trace.layers[0].topk, 2);
  EXPECT_EQ(trace.layers[0].topk_idx, (Ids{5, 1, -1, 2}));
  EXPECT_EQ(trace.layers[0].topk_weights, (Weights{0.75f, 0.25f, 0.0f, 0.5f}))
      << "a masked entry has no weight";
  EXPECT_EQ(trace.layers[0].counts, (Counts{0, 1, 1, 0, 0, 1, 0, 0}));
  EXPECT_EQ(trace.layers[1].layer, 2);
}

TEST(ReadTrace, MixtralLines) {
  const Trace trace = read_trace(data("mixtral.jsonl"), {});

  ASSERT_EQ(trace.layers.size(), 1u);
  EXPECT_EQ(trace.layers[0].layer, 7);
  EXPECT_EQ(trace.layers[0].topk_idx, (Ids{3, 0, 1, 2}));
  EXPECT_EQ(trace.layers[0].topk_weights, (Weights{0.6f, 0.4f, 0.9f, 0.1f}));
}

TEST(ReadTrace, NpyCountsOfLayersAndExperts) {
  const test::TempFolder folder;

  const Trace trace = read_trace(folder.write("c.npy", test::npy_int64("(2, 3)", {1, 2, 3, 4, 5, 6})), {});

  EXPECT_EQ(trace.format, "npy");
  EXPECT_EQ(trace.num_experts, 3);
  ASSERT_EQ(trace.layers.size(), 2u);
  EXPECT_EQ(trace.layers[0].counts, (Counts{1, 2, 3}));
  EXPECT_EQ(trace.layers[1].counts, (Counts{4, 5, 6}));
}

TEST(ReadTrace, NpyStepsAreSummedAndKept) {
  const test::TempFolder folder;
  // [steps 3][layers 2][experts 2]; layer 0 is dense, step 1 unused.
  const auto file = folder.write("c.npy", test::npy_int64("(3, 2, 2)", {0, 0, 1, 2, 0, 0, 0, 0, 0, 0, 5, 0}));

  const Trace trace = read_trace(file, {.array_content = ArrayContent::counts});

  ASSERT_EQ(trace.layers.size(), 1u);
  EXPECT_EQ(trace.layers[0].layer, 1);
  EXPECT_EQ(trace.layers[0].counts, (Counts{6, 2}));
  EXPECT_EQ(trace.layers[0].steps, (std::vector<Counts>{{1, 2}, {5, 0}}));
  ASSERT_EQ(trace.notes.size(), 1u);
  EXPECT_EQ(trace.notes[0], "left out, without selections: layers 0");
}

TEST(ReadTrace, NpyIdsOfTokensLayersAndTopk) {
  const test::TempFolder folder;
  const auto file = folder.write("ids.npy", test::npy_int64("(2, 2, 2)", {0, 1, 2, 3, 1, -1, 3, 0}));

  const Trace trace = read_trace(file, {.array_content = ArrayContent::ids});

  ASSERT_EQ(trace.layers.size(), 2u);
  EXPECT_EQ(trace.layers[0].topk_idx, (Ids{0, 1, 1, -1}));
  EXPECT_EQ(trace.layers[1].topk_idx, (Ids{2, 3, 3, 0}));
  EXPECT_TRUE(trace.layers[0].topk_weights.empty());
}

TEST(ReadTrace, NpyIdsOfTwoAxesAreOneLayer) {
  const test::TempFolder folder;
  const auto file = folder.write("ids.npy", test::npy_int64("(2, 2)", {0, 1, 1, 2}));

  const Trace trace = read_trace(file, {.array_content = ArrayContent::ids});

  ASSERT_EQ(trace.layers.size(), 1u);
  EXPECT_EQ(trace.layers[0].topk_idx, (Ids{0, 1, 1, 2}));
}

TEST(ReadTrace, TensorRtLlmSumsRanksAndKeepsIterations) {
  const Trace trace = read_trace(data("trtllm"), {});

  EXPECT_EQ(trace.format, "trtllm");
  EXPECT_EQ(trace.num_experts, 4);
  ASSERT_EQ(trace.layers.size(), 2u);
  EXPECT_EQ(trace.layers[0].layer, 3);
  EXPECT_EQ(trace.layers[0].counts, (Counts{4, 4, 4, 2}));
  EXPECT_EQ(trace.layers[0].steps, (std::vector<Counts>{{2, 2, 3, 1}, {2, 2, 1, 1}}));
  EXPECT_EQ(trace.layers[1].steps, (std::vector<Counts>{{4, 0, 2, 0}, {0, 2, 0, 4}}));
}

}  // namespace
}  // namespace epskew
