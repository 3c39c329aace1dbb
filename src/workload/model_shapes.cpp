#include "epskew/workload/model_shapes.hpp"

#include <array>

namespace epskew {
namespace {

// Published configurations; name, MoE layers, experts, top-k, hidden, groups, groups a token may touch.
constexpr std::array shapes = {
    ModelShape{"deepseek-v3", 58, 256, 8, 7168, 8, 4},
    ModelShape{"deepseek-v3.2", 58, 256, 8, 7168, 8, 4},
    ModelShape{"deepseek-v4-flash", 43, 256, 6, 4096, 1, 1},
    ModelShape{"deepseek-v2-lite", 26, 64, 6, 2048, 1, 1},
    ModelShape{"kimi-k2", 60, 384, 8, 7168, 1, 1},
    ModelShape{"qwen3-235b", 94, 128, 8, 4096, 1, 1},
    ModelShape{"qwen3-30b", 48, 128, 8, 2048, 1, 1},
    ModelShape{"qwen3-next-80b", 48, 512, 10, 2048, 1, 1},
    ModelShape{"qwen1.5-moe", 24, 60, 4, 2048, 1, 1},
    ModelShape{"glm-4.7", 89, 160, 8, 5120, 1, 1},
    ModelShape{"glm-5", 75, 256, 8, 6144, 1, 1},
    ModelShape{"llama-4-maverick", 24, 128, 1, 5120, 1, 1},
    ModelShape{"mixtral-8x7b", 32, 8, 2, 4096, 1, 1},
    ModelShape{"mixtral-8x22b", 56, 8, 2, 6144, 1, 1},
    ModelShape{"gpt-oss-120b", 36, 128, 4, 2880, 1, 1},
    ModelShape{"gpt-oss-20b", 24, 32, 4, 2880, 1, 1},
    ModelShape{"minimax-m2", 62, 256, 8, 3072, 1, 1},
    ModelShape{"olmoe-1b-7b", 16, 64, 8, 2048, 1, 1},
};

}  // namespace

std::span<const ModelShape> model_shapes() {
  return shapes;
}

std::optional<ModelShape> find_model(std::string_view name) {
  for (const ModelShape& shape : shapes) {
    if (shape.name == name) return shape;
  }
  return std::nullopt;
}

}  // namespace epskew
