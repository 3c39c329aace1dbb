#include <fmt/format.h>

#include <initializer_list>
#include <nlohmann/json.hpp>
#include <vector>

#include "epskew/support/error.hpp"
#include "trace/lines.hpp"
#include "trace/readers.hpp"

namespace epskew {
namespace {

using nlohmann::json;

/// The first of `keys` that `object` has; nullptr where it has none.
const json* find_any(const json& object, std::initializer_list<const char*> keys) {
  for (const char* key : keys) {
    if (const auto found = object.find(key); found != object.end()) return &*found;
  }
  return nullptr;
}

std::int64_t integer(const json& value, const char* what, const Where& where) {
  if (!value.is_number_integer() || (value.is_number_unsigned() && value.get<std::uint64_t>() > INT64_MAX)) {
    throw UsageError(
        fmt::format("{}: {} is no whole number (one was expected); correct the line", where.text(), what));
  }
  return value.get<std::int64_t>();
}

const json& list(const json& value, const char* what, const Where& where) {
  if (!value.is_array())
    throw UsageError(fmt::format("{}: {} are no list (one of numbers was expected); correct the line",
                                 where.text(), what));
  return value;
}

/// Statements about the model in a line that is no token.
void take_meta(const json& object, const Where& where, TraceBuilder& builder) {
  if (const json* experts = find_any(object, {"num_experts", "n_experts", "num_routed_experts"})) {
    builder.state_num_experts(integer(*experts, "num_experts", where), where);
  }
  if (const json* topk =
          find_any(object, {"topk", "top_k", "num_experts_per_token", "num_experts_per_tok"})) {
    builder.state_topk(integer(*topk, "top-k", where), where);
  }
}

void take_row(const json& object, const Where& where, TraceBuilder& builder) {
  const json* layer = find_any(object, {"layer", "layer_id", "layer_idx"});
  const json* ids = find_any(object, {"topk_ids", "experts", "topk_idx", "expert_ids"});
  const json* probabilities = find_any(object, {"topk_weights", "gating_probs", "weights"});
  if (layer == nullptr)
    throw UsageError(fmt::format("{} has no layer (every token needs one); add \"layer\"", where.text()));
  if (ids == nullptr) {
    throw UsageError(
        fmt::format("{} has no expert ids (topk_ids or experts was expected); record them", where.text()));
  }
  std::vector<std::int64_t> experts;
  for (const json& id : list(*ids, "the expert ids", where))
    experts.push_back(integer(id, "an expert id", where));
  std::vector<float> weights;
  if (probabilities != nullptr) {
    for (const json& weight : list(*probabilities, "the weights", where)) {
      // JSON has no NaN; recorders that meet one write null.
      weights.push_back(weight.is_number() ? weight.get<float>() : std::nanf(""));
    }
  }
  builder.add_row(integer(*layer, "the layer", where), experts, weights, where);
}

}  // namespace

void parse_jsonl(std::string_view text, std::string_view name, TraceBuilder& builder) {
  for_each_line(text, [&](std::string_view line, std::int64_t number) {
    if (trimmed(line).empty()) return;
    const Where where{name, "line", number};
    const json object = json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (!object.is_object()) {
      throw UsageError(fmt::format(
          "{} is no JSON object (truncated, or no JSON lines); correct or drop the line", where.text()));
    }
    const json* type = find_any(object, {"type"});
    if (type != nullptr && *type != "route") {
      take_meta(object, where, builder);
    } else {
      take_row(object, where, builder);
    }
  });
}

}  // namespace epskew
