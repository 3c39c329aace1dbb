#include "trace/builder.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "epskew/support/error.hpp"
#include "trace/limits.hpp"
#include "trace/warm_up.hpp"

namespace epskew {
namespace {

std::int64_t total(const std::vector<std::int64_t>& counts) {
  return std::accumulate(counts.begin(), counts.end(), std::int64_t{0});
}

}  // namespace

TraceBuilder::TraceBuilder(std::string format, std::filesystem::path source, const TraceOptions& options)
    : options_(options) {
  trace_.format = std::move(format);
  trace_.source = std::move(source);
  const Where user{"the command line", "", 0};
  if (options_.num_experts) state_num_experts(*options_.num_experts, user);
  if (options_.topk) state_topk(*options_.topk, user);
}

void TraceBuilder::state_num_experts(std::int64_t num_experts, const Where& where) {
  if (num_experts < 1 || num_experts > max_experts) {
    throw UsageError(fmt::format("{} says {} experts (1 to {} are possible); correct the number",
                                 where.text(), num_experts, max_experts));
  }
  if (stated_experts_ != 0 && stated_experts_ != num_experts) {
    throw UsageError(fmt::format("{} says {} experts ({} were stated before); make the two agree",
                                 where.text(), num_experts, stated_experts_));
  }
  stated_experts_ = static_cast<int>(num_experts);
}

void TraceBuilder::state_topk(std::int64_t topk, const Where& where) {
  if (topk < 1 || topk > max_topk) {
    throw UsageError(fmt::format("{} says {} experts a token (1 to {} are possible); correct the number",
                                 where.text(), topk, max_topk));
  }
  if (topk_ != 0 && topk_ != topk) {
    throw UsageError(
        fmt::format("{} has {} experts a token (all others have {}); a trace has one top-k, cut it",
                    where.text(), topk, topk_));
  }
  topk_ = static_cast<int>(topk);
}

void TraceBuilder::state_origin(std::vector<std::int32_t> tokens_per_rank, std::string spec) {
  trace_.tokens_per_rank = std::move(tokens_per_rank);
  trace_.spec = std::move(spec);
}

TraceBuilder::PendingLayer& TraceBuilder::layer_at(std::int64_t layer, const Where& where) {
  if (layer < 0 || layer >= max_layers) {
    throw UsageError(fmt::format("{} names layer {} (0 to {} are possible); correct the number", where.text(),
                                 layer, max_layers - 1));
  }
  PendingLayer& pending = layers_[static_cast<int>(layer)];
  pending.data.layer = static_cast<int>(layer);
  return pending;
}

void TraceBuilder::check_expert(std::int64_t expert, std::int64_t lowest, const Where& where) {
  const std::int64_t bound = stated_experts_ != 0 ? stated_experts_ : max_experts;
  if (expert < lowest || expert >= bound) {
    throw UsageError(
        fmt::format("{} names expert {} (0 to {} are possible); correct the id or the number of experts",
                    where.text(), expert, bound - 1));
  }
  if (expert > largest_expert_) {
    largest_expert_ = expert;
    largest_expert_at_ = where.text();
  }
}

void TraceBuilder::check_ids(std::span<const std::int64_t> ids, const Where& where) {
  constexpr std::int64_t masked = -1;
  for (const std::int64_t id : ids) check_expert(id, masked, where);
  sorted_ids_.assign(ids.begin(), ids.end());
  std::sort(sorted_ids_.begin(), sorted_ids_.end());
  for (std::size_t i = 1; i < sorted_ids_.size(); ++i) {
    if (sorted_ids_[i] != masked && sorted_ids_[i] == sorted_ids_[i - 1]) {
      throw UsageError(fmt::format(
          "{} selects expert {} twice (the experts of a token are distinct); check the ids and the top-k",
          where.text(), sorted_ids_[i]));
    }
  }
}

void TraceBuilder::check_weights(const PendingLayer& layer, std::span<const float> weights,
                                 std::size_t expected, const Where& where) const {
  if (!layer.data.topk_idx.empty() && layer.has_weights == weights.empty()) {
    throw UsageError(fmt::format("{} {} weights (the rows before {}); record them for all tokens or none",
                                 where.text(), weights.empty() ? "has no" : "has",
                                 weights.empty() ? "have them" : "have none"));
  }
  if (!weights.empty() && weights.size() != expected) {
    throw UsageError(fmt::format("{} has {} weights for {} experts (one each was expected); correct the row",
                                 where.text(), weights.size(), expected));
  }
  const auto bad =
      std::find_if(weights.begin(), weights.end(), [](float weight) { return !std::isfinite(weight); });
  if (bad != weights.end()) {
    throw UsageError(fmt::format(
        "{} has the weight {} (finite numbers were expected); correct or drop the row", where.text(), *bad));
  }
}

void TraceBuilder::add_row(std::int64_t layer, std::span<const std::int64_t> ids,
                           std::span<const float> weights, const Where& where) {
  PendingLayer& pending = layer_at(layer, where);
  if (!pending.steps.empty())
    throw UsageError(fmt::format(
        "{} mixes tokens with counts (one or the other was expected); split the file", where.text()));
  state_topk(static_cast<std::int64_t>(ids.size()), where);
  check_ids(ids, where);
  check_weights(pending, weights, ids.size(), where);
  for (std::size_t k = 0; k < ids.size(); ++k) {
    pending.data.topk_idx.push_back(static_cast<std::int32_t>(ids[k]));
    // A masked entry carries no weight, whatever the recorder left there.
    if (!weights.empty()) pending.data.topk_weights.push_back(ids[k] < 0 ? 0.0f : weights[k]);
  }
  pending.has_weights = !weights.empty();
}

void TraceBuilder::add_count(std::int64_t layer, std::int64_t step, std::int64_t expert, std::int64_t count,
                             const Where& where) {
  PendingLayer& pending = layer_at(layer, where);
  check_expert(expert, 0, where);
  if (count < 0 || count > max_count) {
    throw UsageError(fmt::format("{} has the count {} (0 to {} are possible); correct it", where.text(),
                                 count, max_count));
  }
  std::vector<std::int64_t>& counts = pending.steps[step];
  const auto index = static_cast<std::size_t>(expert);
  if (index >= counts.size()) {
    count_cells_ += static_cast<std::int64_t>(index + 1 - counts.size());
    if (count_cells_ > max_count_cells) {
      throw UsageError(
          fmt::format("{} brings the counts to {} (layers × steps × experts, at most {}); cut the recording",
                      where.text(), count_cells_, max_count_cells));
    }
    counts.resize(index + 1, 0);
  }
  counts[index] += count;
  if (counts[index] > max_count) {
    throw UsageError(fmt::format("{} brings the count of expert {} to {} (at most {}); correct it",
                                 where.text(), expert, counts[index], max_count));
  }
}

void TraceBuilder::settle_model() {
  trace_.topk = topk_;
  trace_.num_experts_inferred = stated_experts_ == 0;
  trace_.num_experts = trace_.num_experts_inferred ? static_cast<int>(largest_expert_ + 1) : stated_experts_;
  // Ids read before the file stated its experts were not yet checked against that.
  if (largest_expert_ >= trace_.num_experts) {
    throw UsageError(
        fmt::format("{} names expert {} (0 to {} are possible); correct the id or the number of experts",
                    largest_expert_at_, largest_expert_, trace_.num_experts - 1));
  }
  if (topk_ > trace_.num_experts && trace_.num_experts > 0) {
    throw UsageError(
        fmt::format("{} has {} experts a token of {} experts (at most all of them); correct the top-k",
                    trace_.source.string(), topk_, trace_.num_experts));
  }
}

void TraceBuilder::complete_tokens(PendingLayer& layer) {
  layer.data.topk = topk_;
  trace_.constant_rows += handle_warm_up(layer.data, options_.drop_constant);
  layer.data.counts.assign(static_cast<std::size_t>(trace_.num_experts), 0);
  for (const std::int32_t expert : layer.data.topk_idx) {
    if (expert >= 0) ++layer.data.counts[static_cast<std::size_t>(expert)];
  }
}

void TraceBuilder::complete_counts(PendingLayer& layer) const {
  layer.data.counts.assign(static_cast<std::size_t>(trace_.num_experts), 0);
  for (auto& [step, counts] : layer.steps) {
    counts.resize(static_cast<std::size_t>(trace_.num_experts), 0);
    for (std::size_t e = 0; e < counts.size(); ++e) layer.data.counts[e] += counts[e];
    // Recorders leave unused steps zero: they are no batch.
    if (total(counts) > 0) layer.data.steps.push_back(std::move(counts));
  }
  if (layer.data.steps.size() == 1) layer.data.steps.clear();
}

bool TraceBuilder::is_wanted(int layer) const {
  return options_.layers.empty() ||
         std::find(options_.layers.begin(), options_.layers.end(), layer) != options_.layers.end();
}

void TraceBuilder::check_wanted_layers() const {
  std::vector<int> there;
  for (const auto& [number, layer] : layers_) there.push_back(number);
  for (const int wanted : options_.layers) {
    if (!layers_.contains(wanted)) {
      throw UsageError(fmt::format("layer {} is not in {} (it holds {}); choose among those", wanted,
                                   trace_.source.string(), fmt::join(there, ", ")));
    }
  }
}

Trace TraceBuilder::finish() && {
  check_wanted_layers();
  settle_model();
  std::vector<int> idle;
  for (auto& [number, layer] : layers_) {
    if (!is_wanted(number)) continue;
    if (layer.steps.empty()) {
      complete_tokens(layer);
    } else {
      complete_counts(layer);
    }
    if (total(layer.data.counts) == 0) {
      idle.push_back(number);
    } else {
      trace_.layers.push_back(std::move(layer.data));
    }
  }
  if (trace_.layers.empty()) {
    throw UsageError(
        fmt::format("{} holds no selections{} (nothing to measure); record it again", trace_.source.string(),
                    options_.drop_constant && trace_.constant_rows > 0 ? " but warm-up rows" : ""));
  }
  if (!idle.empty())
    trace_.notes.push_back(fmt::format("left out, without selections: layers {}", fmt::join(idle, ", ")));
  if (options_.drop_constant && trace_.constant_rows > 0) trace_.tokens_per_rank.clear();
  if (trace_.constant_rows > 0) {
    trace_.notes.push_back(
        fmt::format("{} rows stand in runs of at least {} identical rows, as warm-up leaves them: {}",
                    trace_.constant_rows, warm_up_run,
                    options_.drop_constant ? "left out" : "kept; --drop-constant leaves them out"));
  }
  if (trace_.num_experts_inferred) {
    trace_.notes.push_back(
        fmt::format("{} experts: the largest id + 1; --num-experts states it", trace_.num_experts));
  }
  return std::move(trace_);
}

}  // namespace epskew
