#include "routing.hpp"

#include <fmt/format.h>
#include <nanobind/stl/map.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <nlohmann/json.hpp>

#include "epskew/report/json.hpp"
#include "epskew/routing/digest.hpp"
#include "epskew/routing/load.hpp"
#include "epskew/support/error.hpp"
#include "epskew/support/memory.hpp"
#include "epskew/trace/routing_file.hpp"
#include "epskew/trace/spec_json.hpp"
#include "epskew/workload/recorded.hpp"
#include "workload_flags.hpp"

namespace epskew::python {

Routing::Routing(Workload workload, std::string spec, std::optional<std::string> label)
    : workload_(std::move(workload)),
      spec_(std::move(spec)),
      label_(label ? std::move(*label) : workload_.distribution) {}

std::vector<std::int64_t>& Routing::ids() {
  if (ids_.empty()) ids_.assign(table().topk_idx.begin(), table().topk_idx.end());
  return ids_;
}

std::vector<float>& Routing::weights() {
  if (weights_.empty()) weights_ = table().topk_weights;
  return weights_;
}

namespace {

/// One rank's rows of a routing, or all of them.
struct Part {
  std::size_t first = 0;  ///< entry
  std::size_t tokens = 0;
};

Part part_of(const RoutingTable& table, std::optional<int> rank) {
  if (!rank) return {0, static_cast<std::size_t>(table.num_tokens())};
  if (*rank < 0 || *rank >= table.num_ranks()) throw nb::index_error("there is no such rank");
  return {static_cast<std::size_t>(table.first_token(*rank)) * static_cast<std::size_t>(table.topk),
          static_cast<std::size_t>(table.tokens_per_rank[static_cast<std::size_t>(*rank)])};
}

struct RankRouting {
  nb::object owner;
  int rank;
};

nb::object ids_view(nb::handle self, std::optional<int> rank) {
  auto& routing = nb::cast<Routing&>(self);
  const Part part = part_of(routing.table(), rank);
  return view_of(routing.ids().data() + part.first,
                 {part.tokens, static_cast<std::size_t>(routing.table().topk)}, self);
}

nb::object weights_view(nb::handle self, std::optional<int> rank) {
  auto& routing = nb::cast<Routing&>(self);
  const Part part = part_of(routing.table(), rank);
  return view_of(routing.weights().data() + part.first,
                 {part.tokens, static_cast<std::size_t>(routing.table().topk)}, self);
}

template <class T>
nb::object tensor_of(std::vector<T>& values, const Part& part, std::size_t topk, nb::handle owner) {
  static T nothing{};
  T* const data = values.empty() ? &nothing : values.data() + part.first;
  return nb::cast(nb::ndarray<nb::pytorch, T>(data, {part.tokens, topk}, owner));
}

nb::tuple tensors(nb::handle self, std::optional<int> rank) {
  auto& routing = nb::cast<Routing&>(self);
  const Part part = part_of(routing.table(), rank);
  const auto topk = static_cast<std::size_t>(routing.table().topk);
  return nb::make_tuple(tensor_of(routing.ids(), part, topk, self),
                        tensor_of(routing.weights(), part, topk, self));
}

std::string given_spec(const Workload& workload) {
  return nlohmann::json{{"distribution", workload.distribution},
                        {"seed", workload.seed},
                        {"realised_factor", count_load(workload.table).rank.factor}}
      .dump();
}

Routing from_arrays(nb::handle topk_idx, nb::handle topk_weights, const GivenShape& shape,
                    const std::string& distribution, nb::handle seed) {
  Workload workload =
      recorded_workload(table_from(topk_idx, topk_weights, shape), distribution, seed_of(seed));
  std::string spec = given_spec(workload);
  return {std::move(workload), std::move(spec)};
}

/// What a routing file's spec says about the workload, as far as it says it. Throws json::exception for a
/// wrong type.
void read_spec(const std::string& text, Workload& workload) {
  const auto spec = nlohmann::json::parse(text);
  workload.feasible_max = spec.value("feasible_max", workload.feasible_max);
  workload.uniform_floor = spec.value("uniform_floor", workload.uniform_floor);
  workload.distribution = spec.value("distribution", workload.distribution);
  workload.seed = spec.value("seed", workload.seed);
  workload.parameters = spec.value("parameters", workload.parameters);
}

Routing load(nb::handle path) {
  RoutingFile file = read_routing_file(path_of(path));
  Workload workload = recorded_workload(std::move(file.table), "file", 0);
  try {
    read_spec(file.spec, workload);
  } catch (const nlohmann::json::exception&) {
    throw UsageError(fmt::format("{} has a damaged spec (it is no JSON object of a routing); write it again",
                                 path_of(path).string()));
  }
  return {std::move(workload), std::move(file.spec)};
}

void save(const Routing& routing, nb::handle path) {
  const OutputFile output("path", path_of(path).string());
  if (output.is_stdout()) throw UsageError("path - is no file (a routing has many bytes); give it a name");
  write_routing_file(output, routing.table(), routing.spec());
}

using Text = std::optional<std::string>;
using Count = std::optional<std::int64_t>;

void add_class(nb::module_& module) {
  nb::class_<RankRouting>(module, "RankRouting", "One rank's part of a routing: views into it.")
      .def_prop_ro("topk_idx", [](const RankRouting& self) { return ids_view(self.owner, self.rank); })
      .def_prop_ro("topk_weights",
                   [](const RankRouting& self) { return weights_view(self.owner, self.rank); });
  const auto figure = [](auto member) {
    return [member](const Routing& self) { return self.workload().*member; };
  };
  nb::class_<Routing>(module, "Routing", "Who sends which token to which experts, for all ranks. Immutable.")
      .def_static(
          "from_arrays",
          [](nb::object topk_idx, nb::object topk_weights, int num_experts, std::optional<int> num_ranks,
             std::optional<std::vector<std::int32_t>> tokens_per_rank, const std::string& distribution,
             nb::handle seed) {
            return from_arrays(topk_idx, topk_weights, {num_experts, num_ranks, std::move(tokens_per_rank)},
                               distribution, seed);
          },
          nb::arg("topk_idx"), nb::arg("topk_weights") = nb::none(), nb::kw_only(), nb::arg("num_experts"),
          nb::arg("num_ranks") = nb::none(), nb::arg("tokens_per_rank") = nb::none(),
          nb::arg("distribution") = "given", nb::arg("seed") = 0)
      .def_static("load", &load, nb::arg("path"))
      .def("save", &save, nb::arg("path"))
      .def_prop_ro("topk_idx", [](nb::handle self) { return ids_view(self, std::nullopt); })
      .def_prop_ro("topk_weights", [](nb::handle self) { return weights_view(self, std::nullopt); })
      .def("torch", &tensors, nb::arg("rank") = nb::none())
      .def(
          "rank",
          [](nb::object self, int rank) {
            part_of(nb::cast<const Routing&>(self).table(), rank);
            return RankRouting{self, rank};
          },
          nb::arg("rank"))
      .def_prop_ro("num_ranks", [](const Routing& self) { return self.table().num_ranks(); })
      .def_prop_ro("num_experts", [](const Routing& self) { return self.table().num_experts; })
      .def_prop_ro("experts_per_rank", [](const Routing& self) { return self.table().experts_per_rank(); })
      .def_prop_ro("topk", [](const Routing& self) { return self.table().topk; })
      .def_prop_ro("num_tokens", [](const Routing& self) { return self.table().num_tokens(); })
      .def_prop_ro("max_tokens", [](const Routing& self) { return self.table().max_tokens(); })
      .def_prop_ro("tokens_per_rank", [](const Routing& self) { return self.table().tokens_per_rank; })
      .def_prop_ro("digest", [](const Routing& self) { return digest(self.table()); })
      .def_prop_ro("factor", [](const Routing& self) { return count_load(self.table()).rank.factor; })
      .def_prop_ro("hot_rank", [](const Routing& self) { return count_load(self.table()).rank.hot; })
      .def_prop_ro("label", &Routing::label)
      .def_prop_ro("distribution", figure(&Workload::distribution))
      .def_prop_ro("parameters", figure(&Workload::parameters))
      .def_prop_ro("seed", figure(&Workload::seed))
      .def_prop_ro("feasible_max", figure(&Workload::feasible_max))
      .def_prop_ro("uniform_floor", figure(&Workload::uniform_floor))
      .def("metrics", [](const Routing& self) { return from_json_text(to_json(count_load(self.table()))); })
      .def("__eq__",
           [](const Routing& self, nb::handle other) {
             return nb::isinstance<Routing>(other) && self.table() == nb::cast<const Routing&>(other).table();
           })
      .def("__hash__", [](const Routing& self) { return nb::hash(nb::str(digest(self.table()).c_str())); })
      .def("__repr__", [](const Routing& self) {
        const RoutingTable& table = self.table();
        return fmt::format("<epskew.Routing {}: {} tokens on {} ranks, top-{} of {} experts, factor {:.4f}>",
                           self.label(), table.num_tokens(), table.num_ranks(), table.topk, table.num_experts,
                           count_load(table).rank.factor);
      });
}

Routing generated(const app::WorkloadFlags& flags, std::optional<double> factor) {
  const WorkloadSpec spec = app::to_spec(flags, factor);
  app::refuse_unused_law_flags(flags, factor.has_value());
  Workload workload = generate(spec);
  std::string text = spec_json(spec, workload);
  return {std::move(workload), std::move(text)};
}

}  // namespace

void add_routing(nb::module_& module) {
  add_class(module);
  const app::WorkloadFlags unset;
  module.def(
      "routing",
      [](Text model, Count num_processes, Count num_tokens,
         std::optional<std::vector<std::int64_t>> num_tokens_per_rank, Count num_topk, Count num_experts,
         Count num_groups, Count num_topk_groups, Text distribution, std::optional<double> imbalance_factor,
         nb::object law, Text law_level, Text placement, const std::string& sampling, Count num_masked,
         Count hot_rank, const std::string& pattern, Count hot_experts, std::optional<double> hot_fraction,
         Count step, Count burst_period, nb::object matrix, nb::handle seed,
         const std::string& imbalance_level, Count ranks_per_node) {
        app::WorkloadFlags flags;
        flags.model = model.value_or("");
        flags.num_processes = num_processes;
        flags.num_tokens = num_tokens;
        flags.num_tokens_per_rank = tokens_per_rank_of(std::move(num_tokens_per_rank));
        flags.num_topk = num_topk;
        flags.num_experts = num_experts;
        flags.num_groups = num_groups;
        flags.num_topk_groups = num_topk_groups;
        flags.distribution = distribution;
        if (!law.is_none()) flags.law = path_of(law).string();
        flags.law_level = law_level;
        flags.placement = placement;
        flags.sampling = sampling;
        flags.num_masked = num_masked;
        flags.hot_rank = hot_rank;
        flags.pattern = pattern;
        flags.hot_experts = hot_experts;
        flags.hot_fraction = hot_fraction;
        flags.step = step;
        flags.burst_period = burst_period;
        if (!matrix.is_none()) flags.matrix = path_of(matrix).string();
        flags.seed = seed_of(seed);
        flags.imbalance_level = imbalance_level;
        flags.ranks_per_node = ranks_per_node;
        return generated(flags, imbalance_factor);
      },
      nb::kw_only(), nb::arg("model") = nb::none(), nb::arg("num_processes") = nb::none(),
      nb::arg("num_tokens") = nb::none(), nb::arg("num_tokens_per_rank") = nb::none(),
      nb::arg("num_topk") = nb::none(), nb::arg("num_experts") = nb::none(),
      nb::arg("num_groups") = nb::none(), nb::arg("num_topk_groups") = nb::none(),
      nb::arg("distribution") = nb::none(), nb::arg("imbalance_factor") = nb::none(),
      nb::arg("law") = nb::none(), nb::arg("law_level") = nb::none(), nb::arg("placement") = nb::none(),
      nb::arg("sampling") = unset.sampling, nb::arg("num_masked") = nb::none(),
      nb::arg("hot_rank") = nb::none(), nb::arg("pattern") = unset.pattern,
      nb::arg("hot_experts") = nb::none(), nb::arg("hot_fraction") = nb::none(), nb::arg("step") = nb::none(),
      nb::arg("burst_period") = nb::none(), nb::arg("matrix") = nb::none(), nb::arg("seed") = unset.seed,
      nb::arg("imbalance_level") = unset.imbalance_level, nb::arg("ranks_per_node") = nb::none(),
      "The routing that `epskew gen` makes from the flags of these names.");
  module.def(
      "metrics",
      [](nb::object topk_idx, int num_experts, std::optional<int> num_ranks,
         std::optional<std::vector<std::int32_t>> tokens_per_rank) {
        const RoutingTable table =
            table_from(topk_idx, nb::none(), {num_experts, num_ranks, std::move(tokens_per_rank)});
        return from_json_text(to_json(count_load(table)));
      },
      nb::arg("topk_idx"), nb::arg("num_experts"), nb::kw_only(), nb::arg("num_ranks") = nb::none(),
      nb::arg("tokens_per_rank") = nb::none(), "Every load metric of given ids, as Routing.metrics.");
}

}  // namespace epskew::python
