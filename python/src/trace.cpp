#include "trace.hpp"

#include <fmt/format.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/variant.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <numeric>

#include "epskew/support/error.hpp"
#include "epskew/trace/spec_json.hpp"
#include "epskew/workload/recorded.hpp"
#include "routing.hpp"
#include "trace_flags.hpp"

namespace epskew::python {
namespace {

using Text = std::optional<std::string>;
using Count = std::optional<std::int64_t>;

struct LayerView {
  nb::object owner;
  std::size_t index;
  const TraceLayer& layer() const { return nb::cast<const Trace&>(owner).layers[index]; }
};

template <class T>
nb::object per_token(const LayerView& view, const std::vector<T>& values) {
  if (values.empty()) return nb::none();
  const auto topk = static_cast<std::size_t>(view.layer().topk);
  return view_of(values.data(), {values.size() / topk, topk}, view.owner);
}

TraceLayer layer_of_counts(int number, std::vector<std::int64_t> counts) {
  for (const std::int64_t count : counts) {
    if (count < 0)
      throw UsageError(
          fmt::format("counts of layer {} hold {} (loads are never negative); correct them", number, count));
  }
  TraceLayer layer;
  layer.layer = number;
  layer.counts = std::move(counts);
  return layer;
}

nb::list replay_all(const Trace& trace, const app::TraceFlags& flags, const app::WorkloadFlags& workload) {
  Replay replayed = app::load_replay(trace, flags, workload);
  nb::list routings;
  for (ReplayRound& round : replayed.rounds) {
    std::string spec = spec_json(trace, round);
    Workload recorded = recorded_workload(std::move(round.table), "trace", workload.seed);
    recorded.parameters = {{"layer", round.layer}, {"window", round.window}};
    routings.append(nb::cast(Routing(std::move(recorded), std::move(spec), round.label)));
  }
  return routings;
}

void add_class(nb::module_& module) {
  nb::class_<LayerView>(module, "TraceLayer", "One MoE layer of a recording.")
      .def_prop_ro("layer", [](const LayerView& self) { return self.layer().layer; })
      .def_prop_ro("topk_idx", [](const LayerView& self) { return per_token(self, self.layer().topk_idx); })
      .def_prop_ro("topk_weights",
                   [](const LayerView& self) { return per_token(self, self.layer().topk_weights); })
      .def_prop_ro("counts", [](const LayerView& self) {
        return view_of(self.layer().counts.data(), {self.layer().counts.size()}, self.owner);
      });
  nb::class_<Trace>(module, "Trace", "Recorded routing, whatever file it came from.")
      .def_static(
          "from_counts",
          [](nb::object counts, std::optional<int> topk) { return trace_of_counts(counts, topk); },
          nb::arg("counts"), nb::kw_only(), nb::arg("num_topk") = nb::none())
      .def_ro("format", &Trace::format)
      .def_prop_ro("source", [](const Trace& self) { return self.source.string(); })
      .def_ro("num_experts", &Trace::num_experts)
      .def_ro("topk", &Trace::topk)
      .def_ro("notes", &Trace::notes)
      .def_prop_ro("layers",
                   [](nb::object self) {
                     nb::list layers;
                     for (std::size_t i = 0; i < nb::cast<const Trace&>(self).layers.size(); ++i)
                       layers.append(nb::cast(LayerView{self, i}));
                     return layers;
                   })
      .def(
          "replay",
          [](const Trace& self, Count num_processes, Count num_tokens,
             std::optional<std::vector<std::int64_t>> num_tokens_per_rank, Count num_topk,
             std::optional<std::variant<std::int64_t, std::string>> windows, const std::string& deal,
             Text placement, nb::handle seed) {
            app::WorkloadFlags workload;
            workload.num_processes = num_processes;
            workload.num_tokens = num_tokens;
            workload.num_tokens_per_rank = tokens_per_rank_of(std::move(num_tokens_per_rank));
            workload.num_topk = num_topk;
            workload.placement = placement;
            workload.seed = seed_of(seed);
            app::TraceFlags flags;
            flags.deal = deal;
            if (windows) {
              flags.windows = std::holds_alternative<std::string>(*windows)
                                  ? std::get<std::string>(*windows)
                                  : fmt::format("{}", std::get<std::int64_t>(*windows));
            }
            return replay_all(self, flags, workload);
          },
          nb::kw_only(), nb::arg("num_processes") = nb::none(), nb::arg("num_tokens") = nb::none(),
          nb::arg("num_tokens_per_rank") = nb::none(), nb::arg("num_topk") = nb::none(),
          nb::arg("windows") = nb::none(), nb::arg("deal") = "contiguous", nb::arg("placement") = nb::none(),
          nb::arg("seed") = 0)
      .def("__repr__", [](const Trace& self) {
        return fmt::format("<epskew.Trace {}: {} layers, {} experts>", self.format, self.layers.size(),
                           self.num_experts);
      });
}

std::string layers_text(const std::variant<std::string, std::vector<std::int64_t>>& layers) {
  if (std::holds_alternative<std::string>(layers)) return std::get<std::string>(layers);
  std::string text;
  for (const std::int64_t layer : std::get<std::vector<std::int64_t>>(layers))
    text += (text.empty() ? "" : ",") + fmt::format("{}", layer);
  return text;
}

}  // namespace

Trace trace_of_counts(nb::handle counts, std::optional<int> topk) {
  const Integers given = integers_of(counts, "counts");
  if ((given.shape.size() != 1 && given.shape.size() != 2) || given.values.empty()) {
    throw UsageError(fmt::format("counts have shape {} ([E] or [layers, E] is needed); reshape them",
                                 shape_text(given.shape)));
  }
  const auto experts = static_cast<std::ptrdiff_t>(given.shape.back());
  Trace trace;
  trace.format = "counts";
  trace.source = "given counts";
  trace.num_experts = static_cast<int>(experts);
  trace.topk = topk.value_or(0);
  int number = 0;
  for (auto row = given.values.begin(); row != given.values.end(); row += experts)
    trace.layers.push_back(layer_of_counts(number++, {row, row + experts}));
  return trace;
}

void add_trace(nb::module_& module) {
  add_class(module);
  module.def(
      "load_trace",
      [](nb::object path, Text model, Count num_experts, Count num_topk,
         const std::variant<std::string, std::vector<std::int64_t>>& layers, Text npy, bool drop_constant,
         std::optional<std::uint64_t> max_file_bytes) {
        app::TraceFlags flags;
        flags.trace = path_of(path).string();
        flags.layers = layers_text(layers);
        flags.npy = npy.value_or("");
        flags.drop_constant = drop_constant;
        flags.max_file_bytes = max_file_bytes.value_or(default_max_file_bytes);
        app::WorkloadFlags stated;
        stated.model = model.value_or("");
        stated.num_experts = num_experts;
        stated.num_topk = num_topk;
        return app::load_trace(flags, stated);
      },
      nb::arg("path"), nb::kw_only(), nb::arg("model") = nb::none(), nb::arg("num_experts") = nb::none(),
      nb::arg("num_topk") = nb::none(), nb::arg("layers") = "all", nb::arg("npy") = nb::none(),
      nb::arg("drop_constant") = false, nb::arg("max_file_bytes") = nb::none(),
      "Reads a recording, a file or a folder; the format is recognised by its content.");
}

}  // namespace epskew::python
