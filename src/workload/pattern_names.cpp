#include <array>
#include <utility>

#include "epskew/workload/pattern.hpp"

namespace epskew {
namespace {

constexpr std::array<std::pair<Pattern, std::string_view>, 8> names = {
    {{Pattern::none, "none"},
     {Pattern::hot_rank, "hot-rank"},
     {Pattern::k_hot, "k-hot"},
     {Pattern::rotating, "rotating"},
     {Pattern::burst, "burst"},
     {Pattern::matrix, "matrix"},
     {Pattern::skew_in_nodes, "skew-in-nodes"},
     {Pattern::skew_across_nodes, "skew-across-nodes"}}};

}  // namespace

std::string_view name_of(Pattern pattern) {
  for (const auto& [each, name] : names) {
    if (each == pattern) return name;
  }
  return "";
}

std::optional<Pattern> find_pattern(std::string_view name) {
  for (const auto& [pattern, each] : names) {
    if (each == name) return pattern;
  }
  return std::nullopt;
}

std::string pattern_names() {
  std::string list;
  for (const auto& [pattern, name] : names) list.append(list.empty() ? "" : ", ").append(name);
  return list;
}

bool takes_factor(Pattern pattern) {
  return pattern != Pattern::none && pattern != Pattern::k_hot && pattern != Pattern::matrix;
}

bool has_steps(Pattern pattern) {
  return pattern == Pattern::rotating || pattern == Pattern::burst;
}

bool is_cold_step(const WorkloadSpec& spec) {
  return spec.pattern == Pattern::burst && spec.step % spec.burst_period != spec.burst_period - 1;
}

}  // namespace epskew
