#pragma once

/// epskew's own routing files: safetensors that numpy, torch and JAX read as well.
///
/// Tensors: topk_idx [R, T, K] int64 and topk_weights [R, T, K] f32, where T is the largest number of tokens
/// of a rank and the rows that a rank lacks are -1 and 0; tokens_per_rank [R] int64. Metadata (all strings):
/// format "epskew-routing", version "1", num_experts, digest (see digest.hpp) and spec, JSON that says where
/// it came from.

#include <filesystem>
#include <string>

#include "epskew/routing/routing_table.hpp"
#include "epskew/support/output_file.hpp"

namespace epskew {

struct RoutingFile {
  RoutingTable table;
  std::string digest;  ///< of `table`
  std::string spec;    ///< JSON, as written
};

/// Written whole or not at all; see OutputFile for what is thrown.
void write_routing_file(const OutputFile& file, const RoutingTable& table, const std::string& spec);

/// Gives back the identical table. Throws UsageError naming the file and tensor where it is none of ours,
/// damaged, not a valid routing, or not the one whose digest it carries.
RoutingFile read_routing_file(const std::filesystem::path& path);
/// The same from bytes; `name` stands in messages.
RoutingFile parse_routing_file(std::string bytes, const std::string& name);

/// Bytes of the file that write_routing_file makes for such a table, but for its header of some hundred
/// bytes.
std::int64_t routing_file_bytes(int num_ranks, std::int64_t max_tokens, int topk);

}  // namespace epskew
