#include "epskew/exchange/oracle.hpp"

#include <fmt/format.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <memory>

#include "epskew/support/error.hpp"
#include "formats.hpp"
#include "received.hpp"
#include "routing.hpp"

namespace epskew::python {
namespace {

constexpr std::size_t shown_mismatches = 8;

OracleData data_named(const std::string& name) {
  if (name == "exact") return OracleData::exact;
  if (name == "random") return OracleData::random;
  throw UsageError(fmt::format("data {} is unknown (no such data); known: exact, random", name));
}

/// The oracle of one routing, which it keeps alive.
class BoundOracle {
 public:
  BoundOracle(nb::object routing, int hidden, const ExchangeOptions& options, OracleData data,
              std::uint64_t seed, CombineRounding rounding)
      : routing_(std::move(routing)),
        shape_(shape_for(table(), hidden, options)),
        options_(options),
        oracle_(table(), shape_, options, data, seed) {
    oracle_.accept(rounding);
  }

  BoundOracle(const BoundOracle&) = delete;
  BoundOracle& operator=(const BoundOracle&) = delete;

  const RoutingTable& table() const { return nb::cast<const Routing&>(routing_).table(); }
  const ExchangeShape& shape() const { return shape_; }
  nb::object routing() const { return routing_; }

  RankInput input(int rank) { return oracle_.input(checked(rank)); }

  void renew() { oracle_.renew(); }
  void use_blind_experts(bool blind) { oracle_.use_blind_experts(blind); }

  OracleVerdict judge_dispatch(int rank, const Received& received) const {
    const DispatchOutput output = received.output(options_.dispatch, shape_.hidden);
    if (auto wrong = received.impossible(checked(rank), shape_.experts_per_rank())) {
      const std::int64_t rows = rows_of(rank);
      return {rows, std::max<std::int64_t>(rows, 1), {*std::move(wrong)}};
    }
    const nb::gil_scoped_release release;
    return oracle_.judge_dispatch(rank, output, shown_mismatches);
  }

  OracleVerdict judge_combine(int rank, std::span<const BFloat16> out) const {
    checked(rank);
    const nb::gil_scoped_release release;
    return oracle_.judge_combine(rank, out, shown_mismatches);
  }

  std::vector<float> expert_factors(int rank) const {
    checked(rank);
    std::vector<float> factors;
    for (int expert = 0; expert < shape_.experts_per_rank(); ++expert)
      factors.push_back(oracle_.expert_factor(rank, expert));
    return factors;
  }

  /// Writes slots, or rows in packed order.
  void apply_experts(int rank, const Received& received, std::span<BFloat16> out) const {
    const DispatchOutput output = received.output(options_.dispatch, shape_.hidden);
    if (received.impossible(checked(rank), shape_.experts_per_rank()) || !received.is_whole() ||
        received.experts() != static_cast<std::size_t>(shape_.experts_per_rank())) {
      throw UsageError(
          "received is no dispatch that can be computed on (check_dispatch says why); check it first");
    }
    const nb::gil_scoped_release release;
    const auto hidden = static_cast<std::size_t>(shape_.hidden);
    for (int expert = 0; expert < shape_.experts_per_rank(); ++expert) {
      const auto local = static_cast<std::size_t>(expert);
      const std::size_t first = received.slots() > 0 ? local * received.slots()
                                                     : static_cast<std::size_t>(output.expert_begin[local]);
      oracle_.apply_expert(rank, expert, output, out.subspan(first * hidden));
    }
  }

 private:
  static ExchangeShape shape_for(const RoutingTable& table, int hidden, const ExchangeOptions& options) {
    const ExchangeShape shape{table.num_ranks(), table.num_experts, table.topk, hidden, table.max_tokens()};
    validate(shape, options);
    return shape;
  }

  int checked(int rank) const {
    if (rank < 0 || rank >= shape_.num_ranks) throw nb::index_error("there is no such rank");
    return rank;
  }

  std::int64_t rows_of(int rank) const {
    const auto& ids = table().topk_idx;
    return std::count_if(ids.begin(), ids.end(),
                         [&](std::int32_t expert) { return expert >= 0 && table().rank_of(expert) == rank; });
  }

  nb::object routing_;
  ExchangeShape shape_;
  ExchangeOptions options_;
  Oracle oracle_;
};

struct InputView {
  nb::object oracle;
  int rank;
  BoundOracle& bound() const { return nb::cast<BoundOracle&>(oracle); }
  RankInput input() const { return bound().input(rank); }
};

nb::object input_x(const InputView& self) {
  const RankInput input = self.input();
  const auto hidden = static_cast<std::size_t>(self.bound().shape().hidden);
  return view_of(reinterpret_cast<const std::uint16_t*>(input.x.data()), {input.x.size() / hidden, hidden},
                 self.oracle);
}

nb::object input_ids(const InputView& self) {
  return self.bound().routing().attr("rank")(self.rank).attr("topk_idx");
}

nb::object input_weights(const InputView& self) {
  const RankInput input = self.input();
  const auto topk = static_cast<std::size_t>(self.bound().shape().topk);
  return view_of(input.topk_weights.data(), {input.topk_weights.size() / topk, topk}, self.oracle);
}

/// The array that holds the experts' results: `out`, or zeros of the shape that received has.
nb::object expert_output(const BoundOracle& oracle, int rank, const Received& received, nb::object out) {
  const auto rows = received.slots() > 0 ? received.experts() * received.slots()
                                         : static_cast<std::size_t>(received.num_rows());
  if (out.is_none()) {
    const nb::object zeros = nb::module_::import_("numpy").attr("zeros");
    const nb::tuple shape = received.slots() > 0
                                ? nb::make_tuple(received.experts(), received.slots(), received.columns())
                                : nb::make_tuple(rows, received.columns());
    out = zeros(shape, "uint16");
  }
  nb::ndarray<std::uint16_t, nb::c_contig, nb::device::cpu> typed;
  if (!nb::try_cast(out, typed, false) || typed.size() < rows * received.columns()) {
    throw UsageError(
        fmt::format("out is no writable C-contiguous uint16 array of {} values (results go there); give one",
                    rows * received.columns()));
  }
  oracle.apply_experts(rank, received, {reinterpret_cast<BFloat16*>(typed.data()), typed.size()});
  return out;
}

std::string message_of(const OracleVerdict& verdict) {
  return verdict.passed() ? "passed" : to_string(verdict.mismatches.front());
}

void add_reports(nb::module_& module) {
  nb::class_<Mismatch>(module, "Mismatch", "A difference between what is right and what was found.")
      .def_ro("phase", &Mismatch::phase)
      .def_ro("rank", &Mismatch::rank)
      .def_ro("source_rank", &Mismatch::source_rank)
      .def_ro("token", &Mismatch::token)
      .def_ro("expert", &Mismatch::expert)
      .def_ro("column", &Mismatch::column)
      .def_ro("detail", &Mismatch::detail)
      .def("__str__", [](const Mismatch& self) { return to_string(self); })
      .def("__repr__", [](const Mismatch& self) { return "<epskew.Mismatch " + to_string(self) + ">"; });
  nb::class_<OracleVerdict>(module, "OracleReport", "What a check found. True where all is right.")
      .def_prop_ro("ok", &OracleVerdict::passed)
      .def_ro("checked", &OracleVerdict::checked)
      .def_ro("wrong", &OracleVerdict::wrong)
      .def_ro("mismatches", &OracleVerdict::mismatches)
      .def_prop_ro("message", &message_of)
      .def(
          "require",
          [](const OracleVerdict& self, const std::string& when) {
            if (!self.passed()) throw WrongResult(when + ": " + message_of(self));
          },
          nb::arg("when"))
      .def("__bool__", &OracleVerdict::passed)
      .def("__repr__", [](const OracleVerdict& self) {
        return fmt::format("<epskew.OracleReport {} of {} wrong: {}>", self.wrong, self.checked,
                           message_of(self));
      });
}

void add_received(nb::module_& module) {
  nb::class_<Received>(module, "Received", "What one rank received in a dispatch, in a library's own arrays.")
      .def(
          "__init__",
          [](Received* self, nb::object rows, nb::object counts, nb::object source_begin,
             nb::object source_count, nb::object source_token, nb::object scales, nb::object storage_row) {
            new (self)
                Received({rows, counts, source_begin, source_count, source_token, scales, storage_row});
          },
          nb::arg("rows"), nb::arg("counts"), nb::arg("source_begin"), nb::arg("source_count"),
          nb::arg("source_token"), nb::kw_only(), nb::arg("scales") = nb::none(),
          nb::arg("storage_row") = nb::none());
}

}  // namespace

void add_oracle(nb::module_& module) {
  add_reports(module);
  add_received(module);
  nb::class_<InputView>(module, "RankInput", "What one rank sends: views into the oracle.")
      .def_prop_ro("x", &input_x)
      .def_prop_ro("topk_idx", &input_ids)
      .def_prop_ro("topk_weights", &input_weights);
  nb::class_<BoundOracle>(module, "Oracle",
                          "The right answer, from the routing alone and independent of every library.")
      .def(
          "__init__",
          [](BoundOracle* self, nb::object routing, int hidden, const std::string& dispatch,
             const std::string& combine, const std::string& data, nb::handle seed,
             const std::string& rounding) {
            if (!nb::isinstance<Routing>(routing)) throw nb::type_error("routing must be an epskew.Routing");
            ExchangeOptions options;
            options.dispatch = dispatch_named(dispatch);
            options.combine = combine_named(combine);
            new (self) BoundOracle(routing, hidden, options, data_named(data), seed_of(seed),
                                   rounding_named(rounding));
          },
          nb::arg("routing"), nb::arg("hidden"), nb::kw_only(), nb::arg("dispatch") = "fp8",
          nb::arg("combine") = "bf16", nb::arg("data") = "exact", nb::arg("seed") = 0,
          nb::arg("rounding") = "any_order")
      .def(
          "input",
          [](nb::object self, int rank) {
            nb::cast<BoundOracle&>(self).input(rank);
            return InputView{self, rank};
          },
          nb::arg("rank"))
      .def("renew", &BoundOracle::renew)
      .def("use_blind_experts", &BoundOracle::use_blind_experts, nb::arg("blind") = true)
      .def("check_dispatch", &BoundOracle::judge_dispatch, nb::arg("rank"), nb::arg("received"))
      .def(
          "expert_factors",
          [](const BoundOracle& self, int rank) {
            std::vector<float> factors = self.expert_factors(rank);
            const std::size_t count = factors.size();
            return array_from(std::move(factors), {count});
          },
          nb::arg("rank"))
      .def("expert_output", &expert_output, nb::arg("rank"), nb::arg("received"), nb::arg("out") = nb::none())
      .def(
          "check_combine",
          [](const BoundOracle& self, int rank, nb::handle out) {
            const Bits bits = bits_of(out, "out");
            return self.judge_combine(rank, bits.values);
          },
          nb::arg("rank"), nb::arg("out"));
}

}  // namespace epskew::python
