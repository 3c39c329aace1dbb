#pragma once

/// Shapes of published models, for --model.

#include <optional>
#include <span>
#include <string_view>

namespace epskew {

struct ModelShape {
  std::string_view name;  ///< as on the command line, e.g. "deepseek-v3"
  int moe_layers;
  int num_experts;  ///< routed
  int topk;
  int hidden;
  int num_groups;  ///< 1 = no group-limited top-k
  int topk_groups;
};

std::span<const ModelShape> model_shapes();
std::optional<ModelShape> find_model(std::string_view name);

}  // namespace epskew
