// Every mistake gives one line that names the place and the way out.

#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "epskew/trace/trace.hpp"
#include "helpers/binary_files.hpp"
#include "helpers/temp_folder.hpp"
#include "helpers/usage_error.hpp"

namespace epskew {
namespace {

struct BadFile {
  std::string name;
  std::string bytes;
  std::string problem;  ///< what the message must hold
  TraceOptions options = {};
};

std::string jsonl(const std::string& ids, const std::string& more = "") {
  return R"({"layer":0,"topk_ids":)" + ids + more + "}\n";
}

const std::string two_tokens = jsonl("[0,1]") + jsonl("[1,2]");

std::vector<BadFile> bad_files() {
  const TraceOptions top3{.topk = 3};
  return {
      {"empty.csv", "", "empty.csv is empty (0 bytes)"},
      {"lfs.npy", "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n",
       "is a Git-LFS pointer"},
      {"notes.md", "some words\n", "is in no format this program knows"},
      {"dump.pt", std::string("PK\x03\x04 and more"), "convert it with tools/convert_pt.py"},
      {"dump.pkl", std::string("\x80\x04 and more"), "is a pickle"},
      {"t.csv.gz", std::string("\x1f\x8b and more"), "is compressed"},
      {"large.csv",
       "0,0,1\n0,1,1\n",
       "large.csv is too large (12 bytes, the limit is 11)",
       {.max_file_bytes = 11}},

      {"fields.csv", "0,0,1\n0,1\n", "fields.csv, line 2 has 2 fields"},
      {"words.csv", "0,0,1\n0,1,many\n", "words.csv, line 2 has \"many\" for the count"},
      {"header.csv", "layer,expert,tokens\n0,1,2\n",
       "header.csv, line 1 is a header without layer, expert and count"},
      {"negative.csv", "0,0,-1\n", "negative.csv, line 1 has the count -1"},
      {"twice.csv", "0,0,1\n0,0,2\n", "twice.csv, line 2 counts layer 0, expert 0 a second time"},
      {"range.csv", "0,4,1\n", "range.csv, line 1 names expert 4 (0 to 3 are possible)", {.num_experts = 4}},
      {"huge.csv", "0,2000000000,1\n", "huge.csv, line 1 names expert 2000000000"},
      {"layer.csv", "99999999,0,1\n", "layer.csv, line 1 names layer 99999999"},
      {"overflow.csv", "0,0,99999999999999999999\n",
       "overflow.csv, line 1 has \"99999999999999999999\" for the count"},
      {"zero.csv", "0,0,0\n", "zero.csv holds no selections"},
      {"comment.csv", "# nothing\n", "comment.csv holds no selections"},
      {"other.csv", "0,0,1\n", "layer 5 is not in", {.layers = {5}}},

      {"cut.txt", "0\t1\t2\t0\t1\n", "cut.txt, line 1 has no empty field between ids and weights (truncated"},
      {"flag.csv", "0,0,1\n", "--npy is given for", {.array_content = ArrayContent::ids}},

      {"gap.txt", "0\t1\t2\t\t1\t1\t1\n0\t1\t2\n", "gap.txt, line 2 has no empty field", top3},
      {"uneven.txt", "0\t1\t2\t\t1\t1\n", "uneven.txt, line 1 has 3 ids and 2 weights", top3},
      {"multiple.txt", "0\t1\t2\t3\t\t1\t1\t1\t1\n", "multiple.txt, line 1 has 4 ids (a multiple of top-k 3",
       top3},
      {"twice.txt", "0\t1\t1\t\t1\t1\t1\n", "twice.txt, line 1 selects expert 1 twice", top3},
      {"nan.txt", "0\t1\t2\t\t1\tnan\t1\n", "nan.txt, line 1 has the weight nan", top3},
      {"float.txt", "0\t1.5\t2\t\t1\t1\t1\n", "float.txt, line 1 has \"1.5\" for an expert id", top3},

      {"cut.jsonl", two_tokens + R"({"layer":0,"topk)", "cut.jsonl, line 3 is no JSON object"},
      {"width.jsonl", two_tokens + jsonl("[0,1,2]"),
       "width.jsonl, line 3 has 3 experts a token (all others have 2)"},
      {"none.jsonl", jsonl("[]"), "none.jsonl, line 1 says 0 experts a token"},
      {"range.jsonl", jsonl("[0,-2]"), "range.jsonl, line 1 names expert -2"},
      {"twice.jsonl", jsonl("[3,3]"), "twice.jsonl, line 1 selects expert 3 twice"},
      {"type.jsonl", jsonl(R"(["0","1"])"), "type.jsonl, line 1: an expert id is no whole number"},
      {"list.jsonl", jsonl("7"), "list.jsonl, line 1: the expert ids are no list"},
      {"nested.jsonl", jsonl("[[0,1]]"), "nested.jsonl, line 1: an expert id is no whole number"},
      {"nolayer.jsonl", R"({"topk_ids":[0]})", "nolayer.jsonl, line 1 has no layer"},
      {"noids.jsonl", R"({"layer":0})", "noids.jsonl, line 1 has no expert ids"},
      {"null.jsonl", jsonl("[0,1]", R"(,"topk_weights":[0.5,null])"),
       "null.jsonl, line 1 has the weight nan"},
      {"some.jsonl", two_tokens + jsonl("[0,1]", R"(,"topk_weights":[0.5,0.5])"),
       "some.jsonl, line 3 has weights"},
      {"count.jsonl", jsonl("[0,1]", R"(,"topk_weights":[0.5])"),
       "count.jsonl, line 1 has 1 weights for 2 experts"},
      {"late.jsonl", jsonl("[0,9]") + R"({"type":"meta","num_experts":8})",
       "late.jsonl, line 1 names expert 9 (0 to 7"},
      {"disagree.jsonl",
       R"({"type":"meta","num_experts":8})",
       "says 8 experts (4 were stated before)",
       {.num_experts = 4}},
      {"same.jsonl",
       [] {
         std::string text;
         for (int i = 0; i < 40; ++i) text += jsonl("[0]");
         return text;
       }(),
       "same.jsonl holds no selections but warm-up rows",
       {.drop_constant = true}},

      {"axes.npy", test::npy_int64("(1, 1, 2)", {0, 1}), "say which with --npy counts or --npy ids"},
      {"cut.npy", test::npy_int64("(2, 2)", {0, 1, 2}),
       "shape [2, 2] needs 32 bytes of data, the file has 24"},
      {"huge.npy", test::npy_int64("(4000000000, 4000000000)", {}),
       "huge.npy has shape [4000000000, 4000000000] (more than 2^62 bytes)"},
      {"none.npy", test::npy_int64("(0, 4)", {}), "none.npy has shape [0, 4] (no elements to read)"},
      {"order.npy",
       test::npy("{'descr': '<i8', 'fortran_order': True, 'shape': (1,), }", std::string(8, '\0')),
       "is in Fortran order"},
      {"object.npy",
       test::npy("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", std::string(8, '\0')),
       "has dtype |O"},
      {"big.npy",
       test::npy("{'descr': '>i8', 'fortran_order': False, 'shape': (1,), }", std::string(8, '\0')),
       "has dtype >i8"},
      {"struct.npy",
       test::npy("{'descr': [('a', '<i8')], 'fortran_order': False, 'shape': (1,), }", std::string(8, '\0')),
       "holds a structured array"},
      {"half.npy",
       test::npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }",
                 std::string("\x00\x00\x00\x3f", 4)),
       "half.npy holds 0.5 at element 0"},
      {"not.npy", "0,0,1\n", "it does not begin with"},
      {"negative.npy", test::npy_int64("(2,)", {1, -1}), "negative.npy, step 0 has the count -1"},
      {"ids.npy",
       test::npy_int64("(2,)", {1, 2}),
       "ids need [tokens, top-k]",
       {.array_content = ArrayContent::ids}},

      // What bench and fit write about a routing, in the place of the routing.
      {"result.json", "{\n\"schema_version\": \"1.5.0\",\n\"rounds\": []\n}\n",
       "show a result of bench with epskew report"},
      {"sorted.json", "{\n \"a\": \"" + std::string(500, 'x') + "\",\n \"schema_version\": \"1.1.0\"\n}\n",
       "the routing itself is not in it"},
      {"fit.json", R"({"schema":"epskew-fit","schema_version":"1.1.0"})", "the routing itself is not in it"},

      {"cut.safetensors", std::string("\x02\0\0", 3), "shorter than the header length"},
      {"claims.safetensors", test::little_endian(900, 8) + "{}",
       "its header claims 900 bytes, the file has 2"},
      {"huge.safetensors", test::little_endian(1ull << 60, 8) + "{}",
       "its header claims 1152921504606846976 bytes, at most"},
      {"text.safetensors", test::safetensors("[1]", ""), "its header is no JSON object"},
      {"dtype.safetensors",
       test::safetensors(R"({"a":{"dtype":"F8_E4M3","shape":[1],"data_offsets":[0,1]}})", "x"),
       "tensor a has dtype \"F8_E4M3\""},
      {"offsets.safetensors",
       test::safetensors(R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}})", "x"),
       "tensor a lies at bytes [0, 2) of 1: truncated"},
      {"shape.safetensors",
       test::safetensors(R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,1]}})", "x"),
       "tensor a of shape [2] needs 2 bytes and has 1"},
      {"overlap.safetensors",
       test::safetensors(
           R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}})",
           "xyz"),
       "its tensors overlap at byte 1"},
      {"hole.safetensors",
       test::safetensors(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})", "xy"),
       "its tensors leave a gap at byte 0"},
      {"tail.safetensors",
       test::safetensors(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})", "xyz"),
       "2 bytes after the last tensor"},
      {"product.safetensors",
       test::safetensors(R"({"a":{"dtype":"I64","shape":[4294967296,4294967296],"data_offsets":[0,0]}})", ""),
       "(more than 2^62 bytes)"},
      {"foreign.safetensors",
       test::safetensors(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})", "x"),
       "has no metadata format"},
      {"newer.safetensors",
       test::safetensors(R"({"__metadata__":{"format":"epskew-routing","version":"9"}})", ""),
       "has version \"9\" of the format"},
      {"lacks.safetensors",
       test::safetensors(R"({"__metadata__":{"format":"epskew-routing","version":"1"}})", ""),
       "has no tensor topk_idx"},
  };
}

TEST(BadInput, EachFileIsRefusedWithItsReasonInOneLine) {
  const test::TempFolder folder;

  for (const BadFile& bad : bad_files()) {
    const auto file = folder.write(bad.name, bad.bytes);
    const std::string message = test::usage_error_of([&] { read_trace(file, bad.options); });

    EXPECT_NE(message.find(bad.problem), std::string::npos) << bad.name << ": " << message;
    EXPECT_NE(message.find(bad.name), std::string::npos) << "names the file: " << message;
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
    EXPECT_NE(message.find("); "), std::string::npos) << "ends with the remedy: " << message;
  }
}

TEST(BadInput, MissingFile) {
  const std::string message = test::usage_error_of([] { read_trace("/nowhere/t.csv", {}); });

  EXPECT_EQ(message, "/nowhere/t.csv does not exist (nothing to read); check the path");
}

TEST(BadInput, GiganticFileIsRefusedBeforeItIsRead) {
  const test::TempFolder folder;
  const auto file = folder.write("t.csv", "0,0,1\n");
  std::filesystem::resize_file(file, std::uintmax_t{1} << 40);  // sparse: takes no disk

  const std::string message = test::usage_error_of([&] { read_trace(file, {}); });

  EXPECT_NE(message.find("is too large (1099511627776 bytes, the limit is 4294967296)"), std::string::npos)
      << message;
}

TEST(BadInput, FolderWithoutATrace) {
  const test::TempFolder folder;
  folder.write("README.md", "words");

  const std::string message = test::usage_error_of([&] { read_trace(folder.path(), {}); });

  EXPECT_NE(message.find("holds no trace"), std::string::npos) << message;
}

TEST(BadInput, TwoEsftFilesOfOneLayer) {
  const test::TempFolder folder;
  folder.write("expert_weights_1.txt", "0\t\t1\n");
  folder.write("expert_weights_01.txt", "0\t\t1\n");

  const std::string message = test::usage_error_of([&] { read_trace(folder.path(), {.topk = 1}); });

  EXPECT_NE(message.find("are both layer 1"), std::string::npos) << message;
}

class TrtLlmFolder : public ::testing::Test {
 protected:
  TrtLlmFolder() { folder_.write("meta_info.json", R"({"num_experts":2,"num_experts_per_token":1})"); }
  void write_rank(int rank, const std::string& header, const std::string& data) {
    folder_.write("rank" + std::to_string(rank) + ".safetensors", test::safetensors(header, data));
  }
  std::string message() {
    return test::usage_error_of([&] { read_trace(folder_.path(), {}); });
  }

  test::TempFolder folder_;
};

TEST_F(TrtLlmFolder, WithoutRankFiles) {
  EXPECT_NE(message().find("has no rank<r>.safetensors"), std::string::npos) << message();
}

TEST_F(TrtLlmFolder, WithARankMissing) {
  write_rank(1, R"({"1_0":{"dtype":"I64","shape":[2],"data_offsets":[0,16]}})", std::string(16, '\1'));

  EXPECT_NE(message().find("has 1 rank files, the last of rank 1"), std::string::npos) << message();
}

TEST_F(TrtLlmFolder, WithATensorOfAnotherName) {
  write_rank(0, R"({"layer_0":{"dtype":"I64","shape":[2],"data_offsets":[0,16]}})", std::string(16, '\0'));

  EXPECT_NE(message().find("tensor layer_0 is not named <iteration>_<layer>"), std::string::npos)
      << message();
}

TEST_F(TrtLlmFolder, WithATensorOfAnotherShape) {
  write_rank(0, R"({"1_0":{"dtype":"I64","shape":[1],"data_offsets":[0,8]}})", std::string(8, '\0'));

  EXPECT_NE(message().find("tensor 1_0 has shape [1] ([2] was expected"), std::string::npos) << message();
}

TEST_F(TrtLlmFolder, WithBrokenMeta) {
  folder_.write("meta_info.json", "{\n\"num_experts\": }");

  EXPECT_NE(message().find("meta_info.json is no valid JSON (error at line 2"), std::string::npos)
      << message();
}

TEST_F(TrtLlmFolder, WithoutTopk) {
  folder_.write("meta_info.json", R"({"num_experts": 2})");

  EXPECT_NE(message().find("has no whole number num_experts_per_token"), std::string::npos) << message();
}

}  // namespace
}  // namespace epskew
