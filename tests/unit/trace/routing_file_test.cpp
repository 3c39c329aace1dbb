#include "epskew/trace/routing_file.hpp"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <cstring>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "epskew/routing/digest.hpp"
#include "epskew/support/random.hpp"
#include "epskew/trace/replay.hpp"
#include "epskew/trace/trace.hpp"
#include "helpers/temp_folder.hpp"
#include "helpers/usage_error.hpp"

namespace epskew {
namespace {

RoutingTable small_table() {
  return {.num_experts = 4,
          .topk = 2,
          .tokens_per_rank = {2, 1},
          .topk_idx = {0, 3, -1, 2, 1, 0},
          .topk_weights = {0.5f, 0.25f, 0.0f, 1.0f, 0.125f, 2.0f}};
}

RoutingTable random_table(std::uint64_t seed) {
  RandomStream random(seed, 0);
  RoutingTable table;
  const auto ranks = static_cast<int>(1 + random.below(5));
  table.num_experts = ranks * static_cast<int>(1 + random.below(6));
  table.topk = 1 + static_cast<int>(random.below(static_cast<std::uint32_t>(table.num_experts)));
  std::vector<std::int32_t> experts(static_cast<std::size_t>(table.num_experts));
  for (int e = 0; e < table.num_experts; ++e) experts[static_cast<std::size_t>(e)] = e;
  for (int rank = 0; rank < ranks; ++rank) {
    table.tokens_per_rank.push_back(static_cast<std::int32_t>(random.below(7)));
    for (int token = 0; token < table.tokens_per_rank.back(); ++token) {
      shuffle(experts, random);
      for (int k = 0; k < table.topk; ++k) {
        const bool masked = random.below(8) == 0;
        table.topk_idx.push_back(masked ? -1 : experts[static_cast<std::size_t>(k)]);
        table.topk_weights.push_back(masked ? 0.0f : static_cast<float>(random.uniform()));
      }
    }
  }
  return table;
}

std::size_t header_length(const std::string& bytes) {
  std::uint64_t length = 0;
  std::memcpy(&length, bytes.data(), sizeof length);
  return length;
}

nlohmann::json header_of(const std::string& bytes) {
  return nlohmann::json::parse(bytes.substr(8, header_length(bytes)));
}

/// Where a tensor's data begins in the file.
std::size_t offset_of(const std::string& bytes, const char* tensor) {
  return 8 + header_length(bytes) + header_of(bytes)[tensor]["data_offsets"][0].get<std::size_t>();
}

TEST(RoutingFile, IsARecordingOfItsOwnRanks) {
  const test::TempFolder folder;
  const auto file = folder.path() / "routing.safetensors";
  write_routing_file(OutputFile("-o", file.string()), small_table(), R"({"seed": 1})");

  const Trace trace = read_trace(file, {});

  EXPECT_EQ(trace.tokens_per_rank, (std::vector<std::int32_t>{2, 1}));
  EXPECT_EQ(trace.spec, R"({"seed": 1})");
  ASSERT_TRUE(own_routing(trace));
  EXPECT_EQ(*own_routing(trace), small_table());
}

TEST(RoutingFile, WithoutItsWarmUpHasNoRanksOfItsOwn) {
  const test::TempFolder folder;
  const auto file = folder.path() / "routing.safetensors";
  RoutingTable table;
  table.num_experts = 2;
  table.topk = 1;
  table.tokens_per_rank = {warm_up_run, 1};
  table.topk_idx.assign(warm_up_run + 1, 0);
  table.topk_idx.back() = 1;
  table.topk_weights.assign(warm_up_run + 1, 1.0f);
  write_routing_file(OutputFile("-o", file.string()), table, "{}");

  const Trace trace = read_trace(file, {.drop_constant = true});

  EXPECT_EQ(trace.layers.at(0).num_tokens(), 1);
  EXPECT_FALSE(own_routing(trace));
}

TEST(RoutingFile, GivesBackTheIdenticalTable) {
  const test::TempFolder folder;
  const auto file = folder.path() / "routing.safetensors";

  rc::check([&](std::uint64_t seed) {
    const RoutingTable table = random_table(seed);

    write_routing_file(OutputFile("-o", file.string()), table, R"({"seed": 1})");
    const RoutingFile read = read_routing_file(file);

    RC_ASSERT(read.table == table);
    RC_ASSERT(read.digest == digest(table));
    RC_ASSERT(read.spec == R"({"seed": 1})");
  });
}

TEST(RoutingFile, IsWhatOtherReadersExpect) {
  const test::TempFolder folder;
  const auto file = folder.path() / "routing.safetensors";

  write_routing_file(OutputFile("-o", file.string()), small_table(), "{}");

  const std::string bytes = test::slurp(file);
  const auto header = header_of(bytes);
  EXPECT_EQ(offset_of(bytes, "topk_idx") % 8, 0u) << "data is aligned";
  EXPECT_EQ(header["topk_idx"]["dtype"], "I64");
  EXPECT_EQ(header["topk_idx"]["shape"], (std::vector<int>{2, 2, 2}));
  EXPECT_EQ(header["topk_weights"]["dtype"], "F32");
  EXPECT_EQ(header["tokens_per_rank"]["shape"], (std::vector<int>{2}));
  EXPECT_EQ(header["__metadata__"]["digest"], digest(small_table()));
  std::vector<std::int64_t> ids(8);
  std::memcpy(ids.data(), bytes.data() + offset_of(bytes, "topk_idx"), 64);
  EXPECT_EQ(ids, (std::vector<std::int64_t>{0, 3, -1, 2, 1, 0, -1, -1}));
}

TEST(RoutingFile, RefusesContentThatItsDigestDoesNotFit) {
  const test::TempFolder folder;
  const auto file = folder.path() / "routing.safetensors";
  write_routing_file(OutputFile("-o", file.string()), small_table(), "{}");
  std::string bytes = test::slurp(file);
  bytes[offset_of(bytes, "topk_idx")] = 1;  // the first expert of the first token: 0 becomes 1

  const std::string message = test::usage_error_of([&] { parse_routing_file(bytes, "r.safetensors"); });

  EXPECT_NE(message.find("changed since it was written"), std::string::npos) << message;
}

TEST(RoutingFile, IsATraceOfOneLayer) {
  const test::TempFolder folder;
  const auto file = folder.path() / "routing.safetensors";
  write_routing_file(OutputFile("-o", file.string()), small_table(), "{}");

  const Trace trace = read_trace(file, {});

  EXPECT_EQ(trace.format, "epskew");
  ASSERT_EQ(trace.layers.size(), 1u);
  EXPECT_EQ(trace.layers[0].topk_idx, small_table().topk_idx);
  EXPECT_EQ(trace.layers[0].counts, (std::vector<std::int64_t>{2, 1, 1, 1}));
}

// Such a file begins with the byte that a pickle begins with.
TEST(RoutingFile, IsReadWhereItsHeaderLengthBeginsLikeAPickle) {
  const test::TempFolder folder;
  const auto file = folder.path() / "routing.safetensors";
  std::string spec = "{}";
  do {
    spec += ' ';
    write_routing_file(OutputFile("-o", file.string()), small_table(), spec);
  } while (header_length(test::slurp(file)) % 256 != 0x80);

  const Trace trace = read_trace(file, {});

  EXPECT_EQ(trace.format, "epskew");
  EXPECT_EQ(trace.layers.at(0).topk_idx, small_table().topk_idx);
}

}  // namespace
}  // namespace epskew
