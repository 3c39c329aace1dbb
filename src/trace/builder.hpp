#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "epskew/trace/trace.hpp"
#include "trace/where.hpp"

namespace epskew {

/// Collects the rows or counts of one recording and checks what holds for every format: ids in range, no
/// expert twice in a token, finite weights, one width, sizes that fit in memory. All of it throws UsageError
/// with the place.
class TraceBuilder {
 public:
  TraceBuilder(std::string format, std::filesystem::path source, const TraceOptions& options);

  const TraceOptions& options() const { return options_; }

  /// What the file itself says about the model.
  void state_num_experts(std::int64_t num_experts, const Where& where);
  void state_topk(std::int64_t topk, const Where& where);

  /// What a routing file says about its ranks and where it comes from, see Trace.
  void state_origin(std::vector<std::int32_t> tokens_per_rank, std::string spec);

  /// One token of one layer. `weights` is empty where not recorded, else as long as `ids`.
  void add_row(std::int64_t layer, std::span<const std::int64_t> ids, std::span<const float> weights,
               const Where& where);

  /// `count` selections of one expert in one layer, added to what was there. Steps are numbered from 0.
  void add_count(std::int64_t layer, std::int64_t step, std::int64_t expert, std::int64_t count,
                 const Where& where);

  /// Layers ascending, only the wanted ones, warm-up handled, counts taken. Throws UsageError where nothing
  /// is left.
  Trace finish() &&;

 private:
  struct PendingLayer {
    TraceLayer data;
    bool has_weights = false;
    std::map<std::int64_t, std::vector<std::int64_t>> steps;  ///< of count traces
  };

  PendingLayer& layer_at(std::int64_t layer, const Where& where);
  void check_expert(std::int64_t expert, std::int64_t lowest, const Where& where);
  void check_ids(std::span<const std::int64_t> ids, const Where& where);
  void check_weights(const PendingLayer& layer, std::span<const float> weights, std::size_t expected,
                     const Where& where) const;
  void settle_model();
  void complete_tokens(PendingLayer& layer);
  void complete_counts(PendingLayer& layer) const;
  void check_wanted_layers() const;
  bool is_wanted(int layer) const;

  TraceOptions options_;
  Trace trace_;
  std::map<int, PendingLayer> layers_;
  int topk_ = 0;
  int stated_experts_ = 0;
  std::int64_t largest_expert_ = -1;
  std::string largest_expert_at_;
  std::int64_t count_cells_ = 0;
  std::vector<std::int64_t> sorted_ids_;  ///< scratch of check_ids
};

}  // namespace epskew
