// Every reader against broken files: valid ones with bytes flipped, cut, repeated and replaced. Whatever
// comes in, a reader gives a trace or a UsageError. Under the sanitizer presets this also finds reads out of
// bounds.

#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "epskew/support/output_file.hpp"
#include "epskew/support/random.hpp"
#include "epskew/trace/matrix_file.hpp"
#include "epskew/trace/routing_file.hpp"
#include "fuzz/one_input.hpp"
#include "helpers/binary_files.hpp"
#include "helpers/temp_folder.hpp"

namespace epskew {
namespace {

std::string data(const std::string& name) {
  return test::slurp(std::filesystem::path(EPSKEW_SOURCE_DIR) / "tests/unit/trace/data" / name);
}

std::string routing_file() {
  const test::TempFolder folder;
  const RoutingTable table{.num_experts = 4,
                           .topk = 2,
                           .tokens_per_rank = {2, 1},
                           .topk_idx = {0, 3, -1, 2, 1, 0},
                           .topk_weights = {0.5f, 0.25f, 0.0f, 1.0f, 0.125f, 2.0f}};
  const auto file = folder.path() / "r.safetensors";
  write_routing_file(OutputFile("-o", file.string()), table, "{}");
  return test::slurp(file);
}

std::size_t place(const std::string& bytes, RandomStream& random) {
  return random.below(static_cast<std::uint32_t>(bytes.size()));
}

/// Bytes that text and binary formats treat specially.
char nasty_byte(RandomStream& random) {
  constexpr std::string_view nasty("\0\xff\x7f\x80\t\n\r,{}[]\"'-.0918e", 21);
  return nasty[random.below(static_cast<std::uint32_t>(nasty.size()))];
}

void mutate_once(std::string& bytes, RandomStream& random) {
  const std::size_t at = place(bytes, random);
  const std::size_t length = 1 + random.below(8);
  switch (random.below(6)) {
    case 0:
      bytes[at] = static_cast<char>(bytes[at] ^ 1 << random.below(8));
      break;
    case 1:
      bytes[at] = nasty_byte(random);
      break;
    case 2:
      bytes.insert(at, 1, nasty_byte(random));
      break;
    case 3:
      bytes.erase(at, length);
      break;
    case 4:
      bytes.insert(at, bytes.substr(place(bytes, random), length));
      break;
    case 5:
      bytes.resize(at + 1);
      break;
  }
  if (bytes.empty()) bytes.push_back(nasty_byte(random));
}

std::string mutated(std::string bytes, RandomStream& random) {
  for (std::uint32_t i = 0, n = 1 + random.below(4); i < n; ++i) mutate_once(bytes, random);
  return bytes;
}

struct Seed {
  const char* name;
  std::string bytes;
};

TEST(Mutation, ReadersOnlyEverRefuse) {
  const std::vector<Seed> seeds = {
      {"expert_weights_1.txt", data("esft/expert_weights_4.txt")},
      {"t.csv", data("counts.csv")},
      {"t.csv", data("sglang_2025_04.csv")},
      {"t.jsonl", data("vllm.jsonl")},
      {"t.jsonl", data("mixtral.jsonl")},
      {"t.npy", test::npy_int64("(2, 2, 2)", {0, 1, 2, 3, 1, 0, 3, 0})},
      {"t.safetensors", routing_file()},
  };
  constexpr int rounds = 3000;

  for (std::size_t s = 0; s < seeds.size(); ++s) {
    RandomStream random(s, 1);
    int taken = 0;
    for (int i = 0; i < rounds; ++i) taken += test::read_any(mutated(seeds[s].bytes, random), seeds[s].name);

    EXPECT_LT(taken, rounds) << seeds[s].name << ": no mutation was noticed";
    EXPECT_GT(taken, 0) << seeds[s].name << ": none was read to its end";
  }
}

TEST(Mutation, TensorRtLlmFoldersOnlyEverRefuse) {
  const test::TempFolder folder;
  RandomStream random(1, 2);
  const std::string meta = data("trtllm/meta_info.json");
  const std::string rank = data("trtllm/rank0.safetensors");
  int refused = 0;

  for (int i = 0; i < 300; ++i) {
    folder.write("meta_info.json", i % 2 == 0 ? mutated(meta, random) : meta);
    folder.write("rank0.safetensors", i % 2 == 0 ? rank : mutated(rank, random));
    try {
      read_trace(folder.path(), {});
    } catch (const UsageError&) {
      ++refused;
    }
  }

  EXPECT_GT(refused, 0);
}

TEST(Mutation, MatrixFilesOnlyEverRefuse) {
  const test::TempFolder folder;
  RandomStream random(1, 3);
  int refused = 0;

  for (int i = 0; i < 300; ++i) {
    const auto file = folder.write(
        "m", mutated(i % 2 == 0 ? "1,2\n3,4\n" : test::npy_int64("(2, 2)", {1, 2, 3, 4}), random));
    try {
      read_matrix(file, 2);
    } catch (const UsageError&) {
      ++refused;
    }
  }

  EXPECT_GT(refused, 0);
}

}  // namespace
}  // namespace epskew
