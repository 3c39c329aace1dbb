#include "epskew/trace/routing_file.hpp"

#include <fmt/format.h>

#include <charconv>
#include <limits>
#include <span>
#include <vector>

#include "epskew/routing/digest.hpp"
#include "epskew/support/error.hpp"
#include "epskew/support/file.hpp"
#include "epskew/support/safetensors.hpp"
#include "trace/readers.hpp"

namespace epskew {
namespace {

constexpr const char* format_name = "epskew-routing";
constexpr const char* format_version = "1";

template <class T>
std::string_view bytes_of(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

/// [R][T][K] from [tokens][K], short ranks filled up with `fill`.
template <class To, class From>
std::vector<To> pad(const RoutingTable& table, std::span<const From> (RoutingTable::*of_rank)(int) const,
                    To fill) {
  const auto rank_size = static_cast<std::size_t>(table.max_tokens()) * static_cast<std::size_t>(table.topk);
  std::vector<To> padded(rank_size * table.tokens_per_rank.size(), fill);
  for (int rank = 0; rank < table.num_ranks(); ++rank) {
    const auto values = (table.*of_rank)(rank);
    std::copy(values.begin(), values.end(),
              padded.begin() + static_cast<std::ptrdiff_t>(rank_size * static_cast<std::size_t>(rank)));
  }
  return padded;
}

/// The opposite of pad. Throws UsageError where a row behind a rank's last token holds anything but `fill`.
template <class To, class From>
std::vector<To> unpad(const std::vector<From>& padded, const RoutingTable& shape, std::size_t max_tokens,
                      From fill, const std::string& what) {
  const auto width = static_cast<std::size_t>(shape.topk);
  std::vector<To> values;
  for (std::size_t rank = 0; rank < shape.tokens_per_rank.size(); ++rank) {
    const auto all = std::span(padded).subspan(rank * max_tokens * width, max_tokens * width);
    const auto used = static_cast<std::size_t>(shape.tokens_per_rank[rank]) * width;
    for (const From value : all.first(used)) values.push_back(static_cast<To>(value));
    for (const From value : all.subspan(used)) {
      if (value != fill)
        throw UsageError(fmt::format(
            "{} holds {} behind the last token of rank {} ({} was expected); write it with epskew gen", what,
            value, rank, fill));
    }
  }
  return values;
}

const std::string& metadata(const SafeTensors& file, const std::string& key) {
  const auto found = file.metadata().find(key);
  if (found == file.metadata().end()) {
    throw UsageError(fmt::format("{} has no metadata {} (no epskew routing file); write it with epskew gen",
                                 file.name(), key));
  }
  return found->second;
}

int number_in(const SafeTensors& file, const std::string& key) {
  const std::string& text = metadata(file, key);
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 1) {
    throw UsageError(
        fmt::format("{} has metadata {} {:?} (a number above 0 was expected); write it with epskew gen",
                    file.name(), key, text));
  }
  return value;
}

void check_kind(const SafeTensors& file) {
  if (metadata(file, "format") != format_name) {
    throw UsageError(fmt::format("{} has format {:?} ({} was expected); write it with epskew gen",
                                 file.name(), metadata(file, "format"), format_name));
  }
  if (metadata(file, "version") != format_version) {
    throw UsageError(
        fmt::format("{} has version {:?} of the format (this program reads {}); use a newer epskew",
                    file.name(), metadata(file, "version"), format_version));
  }
}

const TensorView& tensor_of(const SafeTensors& file, const char* name, DType dtype, std::size_t axes) {
  const TensorView& tensor = file.at(name);
  if (tensor.dtype != dtype || tensor.shape.size() != axes) {
    throw UsageError(fmt::format(
        "{}, tensor {} has shape {} or a dtype that do not fit ({} axes of {} were expected); write it with "
        "epskew gen",
        file.name(), name, to_string(tensor.shape), axes, dtype == DType::i64 ? "int64" : "float32"));
  }
  return tensor;
}

/// Experts, top-k and tokens per rank; the ids and weights still missing.
RoutingTable shape_of(const SafeTensors& file) {
  const TensorView& ids = tensor_of(file, "topk_idx", DType::i64, 3);
  const TensorView& weights = tensor_of(file, "topk_weights", DType::f32, 3);
  const TensorView& tokens = tensor_of(file, "tokens_per_rank", DType::i64, 1);
  const std::int64_t limit = std::numeric_limits<std::int32_t>::max();
  if (ids.shape != weights.shape || ids.shape[0] != tokens.shape[0] || ids.shape[0] < 1 ||
      ids.shape[0] > limit || ids.shape[2] < 1 || ids.shape[2] > limit) {
    throw UsageError(
        fmt::format("{}: topk_idx {}, topk_weights {} and tokens_per_rank {} do not fit together; write it "
                    "with epskew gen",
                    file.name(), to_string(ids.shape), to_string(weights.shape), to_string(tokens.shape)));
  }
  RoutingTable table;
  table.num_experts = number_in(file, "num_experts");
  table.topk = static_cast<int>(ids.shape[2]);
  for (const std::int64_t count : to_int64(tokens, file.name())) {
    if (count < 0 || count > ids.shape[1] || count > limit) {
      throw UsageError(
          fmt::format("{}, tensor tokens_per_rank holds {} (0 to {} are possible); write it with epskew gen",
                      file.name(), count, ids.shape[1]));
    }
    table.tokens_per_rank.push_back(static_cast<std::int32_t>(count));
  }
  return table;
}

std::vector<std::int64_t> ids_of(const SafeTensors& file, int num_experts) {
  const std::string what = file.name() + ", tensor topk_idx";
  std::vector<std::int64_t> ids = to_int64(file.at("topk_idx"), what);
  // Before they are narrowed to 32 bits.
  for (const std::int64_t id : ids) {
    if (id < -1 || id >= num_experts) {
      throw UsageError(fmt::format("{} names expert {} (-1 to {} are possible); write it with epskew gen",
                                   what, id, num_experts - 1));
    }
  }
  return ids;
}

}  // namespace

std::int64_t routing_file_bytes(int num_ranks, std::int64_t max_tokens, int topk) {
  constexpr std::int64_t entry_bytes = sizeof(std::int64_t) + sizeof(float);
  return num_ranks * (max_tokens * topk * entry_bytes + static_cast<std::int64_t>(sizeof(std::int64_t)));
}

void write_routing_file(const OutputFile& file, const RoutingTable& table, const std::string& spec) {
  const std::vector<std::int64_t> ids =
      pad<std::int64_t>(table, &RoutingTable::experts_of_rank, std::int64_t{-1});
  const std::vector<float> weights = pad<float>(table, &RoutingTable::weights_of_rank, 0.0f);
  const std::vector<std::int64_t> tokens(table.tokens_per_rank.begin(), table.tokens_per_rank.end());
  const std::vector<std::int64_t> shape = {table.num_ranks(), table.max_tokens(), table.topk};
  write_safetensors(file,
                    {{"topk_idx", {DType::i64, shape, bytes_of(ids)}},
                     {"topk_weights", {DType::f32, shape, bytes_of(weights)}},
                     {"tokens_per_rank", {DType::i64, {table.num_ranks()}, bytes_of(tokens)}}},
                    {{"format", format_name},
                     {"version", format_version},
                     {"num_experts", std::to_string(table.num_experts)},
                     {"digest", digest(table)},
                     {"spec", spec}});
}

RoutingFile parse_routing_file(std::string bytes, const std::string& name) {
  const SafeTensors file(std::move(bytes), name);
  check_kind(file);
  RoutingFile routing;
  routing.table = shape_of(file);
  const auto max_tokens = static_cast<std::size_t>(file.at("topk_idx").shape[1]);
  routing.table.topk_idx = unpad<std::int32_t>(ids_of(file, routing.table.num_experts), routing.table,
                                               max_tokens, std::int64_t{-1}, name + ", tensor topk_idx");
  routing.table.topk_weights = unpad<float>(to_float(file.at("topk_weights")), routing.table, max_tokens,
                                            0.0f, name + ", tensor topk_weights");
  validate(routing.table, name.c_str());
  routing.digest = digest(routing.table);
  if (routing.digest != metadata(file, "digest")) {
    throw UsageError(fmt::format(
        "{} carries the digest {} (its content has {}: changed since it was written); write it again", name,
        metadata(file, "digest"), routing.digest));
  }
  routing.spec = metadata(file, "spec");
  return routing;
}

RoutingFile read_routing_file(const std::filesystem::path& path) {
  return parse_routing_file(read_file(path), path.string());
}

void parse_routing_trace(std::string bytes, std::string_view name, TraceBuilder& builder) {
  RoutingFile file = parse_routing_file(std::move(bytes), std::string(name));
  const RoutingTable& table = file.table;
  builder.state_num_experts(table.num_experts, {name, "", 0});
  builder.state_origin(table.tokens_per_rank, std::move(file.spec));
  const auto width = static_cast<std::size_t>(table.topk);
  const std::vector<std::int64_t> ids(table.topk_idx.begin(), table.topk_idx.end());
  for (std::size_t at = 0; at < ids.size(); at += width) {
    builder.add_row(0, std::span(ids).subspan(at, width), std::span(table.topk_weights).subspan(at, width),
                    {name, "token", static_cast<std::int64_t>(at / width)});
  }
}

}  // namespace epskew
