#pragma once

/// What a recording looks like at several numbers of ranks: every metric of DESIGN §2 that it can give.

#include <optional>
#include <span>
#include <vector>

#include "epskew/routing/load.hpp"
#include "epskew/routing/placement.hpp"
#include "epskew/trace/trace.hpp"

namespace epskew {

/// Numbers of ranks to look at where nobody says: those of 8, 16 and 32 that divide the experts; else the
/// largest three divisors from 2 to 32; else one rank an expert.
std::vector<int> usual_num_ranks(int num_experts);

/// One layer on `num_ranks` ranks.
struct RankInspection {
  int num_ranks = 0;
  LoadMetrics rank;                       ///< selections per rank
  std::optional<LoadMetrics> node;        ///< selections per node; where nodes were asked for
  std::optional<LoadMetrics> message;     ///< messages per rank; of token traces
  std::optional<double> hot_over_others;  ///< DeepEP V2's ratio, see RoutingLoad; of token traces
  std::optional<double> uniform_floor;    ///< mean factor of uniform random routing; needs top-k
};

struct LayerInspection {
  int layer = 0;
  std::int64_t tokens = 0;            ///< 0 for a count trace
  std::int64_t selections = 0;        ///< after masking
  LoadMetrics expert;                 ///< by logical expert
  std::vector<RankInspection> ranks;  ///< in the order asked for
};

/// One entry a layer. Experts are placed contiguously unless `placement` says otherwise. Precondition: every
/// number of ranks divides the experts.
std::vector<LayerInspection> inspect(const Trace& trace, std::span<const int> num_ranks,
                                     const std::optional<Placement>& placement);

/// Fills `node` everywhere: a node is `ranks_per_node` consecutive ranks. Throws UsageError where that does not divide
/// a number of ranks.
void inspect_nodes(std::vector<LayerInspection>& layers, int ranks_per_node);

/// A metric over layers: its mean, its largest value and the layer of that.
struct OverLayers {
  double mean = 0;
  double worst = 0;
  int worst_layer = 0;
};

/// `value(layer)` over the layers, which are not empty.
template <class Value>
OverLayers over_layers(std::span<const LayerInspection> layers, Value&& value) {
  OverLayers summary;
  for (const LayerInspection& layer : layers) {
    const double here = value(layer);
    summary.mean += here / static_cast<double>(layers.size());
    if (&layer == layers.data() || here > summary.worst) {
      summary.worst = here;
      summary.worst_layer = layer.layer;
    }
  }
  return summary;
}

}  // namespace epskew
