#include <fmt/format.h>

#include "epskew/support/error.hpp"
#include "epskew/support/npy.hpp"
#include "trace/limits.hpp"
#include "trace/readers.hpp"

namespace epskew {
namespace {

/// Axes as extents: [outer][layers][inner], leading axes folded into `outer`.
struct Axes {
  std::int64_t outer = 1;
  std::int64_t layers = 1;
  std::int64_t inner = 1;
};

Axes fold(const std::vector<std::int64_t>& shape, ArrayContent content) {
  Axes axes;
  std::vector<std::int64_t> left = shape;
  axes.inner = left.back();
  left.pop_back();
  // Two axes of ids are [tokens, top-k]: one layer.
  const bool has_layers = content == ArrayContent::counts ? !left.empty() : left.size() >= 2;
  if (has_layers) {
    axes.layers = left.back();
    left.pop_back();
  }
  for (const std::int64_t extent : left) axes.outer *= extent;
  return axes;
}

ArrayContent content_of(const TensorView& array, std::string_view name, const TraceOptions& options) {
  if (options.array_content) return *options.array_content;
  if (array.shape.size() <= 2) return ArrayContent::counts;
  throw UsageError(
      fmt::format("{} has shape {} (counts [steps, layers, experts] or ids [tokens, layers, top-k]); say "
                  "which with --npy counts or --npy ids",
                  name, to_string(array.shape)));
}

void add_counts(const std::vector<std::int64_t>& values, const Axes& axes, std::string_view name,
                TraceBuilder& builder) {
  std::size_t at = 0;
  for (std::int64_t step = 0; step < axes.outer; ++step) {
    const Where where{name, "step", step};
    for (std::int64_t layer = 0; layer < axes.layers; ++layer) {
      for (std::int64_t expert = 0; expert < axes.inner; ++expert)
        builder.add_count(layer, step, expert, values[at++], where);
    }
  }
}

void add_ids(const std::vector<std::int64_t>& values, const Axes& axes, std::string_view name,
             TraceBuilder& builder) {
  const auto width = static_cast<std::size_t>(axes.inner);
  std::size_t at = 0;
  for (std::int64_t token = 0; token < axes.outer; ++token) {
    const Where where{name, "token", token};
    for (std::int64_t layer = 0; layer < axes.layers; ++layer, at += width) {
      builder.add_row(layer, std::span(values).subspan(at, width), {}, where);
    }
  }
}

}  // namespace

void parse_npy_trace(std::string_view bytes, std::string_view name, TraceBuilder& builder) {
  const TensorView array = parse_npy(bytes, std::string(name));
  if (array.shape.empty() || array.num_elements() == 0) {
    throw UsageError(
        fmt::format("{} has shape {} (no elements to read); record it again", name, to_string(array.shape)));
  }
  const ArrayContent content = content_of(array, name, builder.options());
  if (content == ArrayContent::ids && array.shape.size() < 2) {
    throw UsageError(
        fmt::format("{} has shape {} (ids need [tokens, top-k] or [tokens, layers, top-k]); reshape it", name,
                    to_string(array.shape)));
  }
  const Axes axes = fold(array.shape, content);
  const std::vector<std::int64_t> values = to_int64(array, std::string(name));
  if (content == ArrayContent::ids) {
    add_ids(values, axes, name, builder);
  } else {
    builder.state_num_experts(axes.inner, {name, "", 0});
    add_counts(values, axes, name, builder);
  }
}

}  // namespace epskew
