#include "epskew/exchange/exchange.hpp"

#include <fmt/format.h>
#include <nanobind/stl/map.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/unique_ptr.h>

#include <chrono>
#include <cmath>
#include <cstring>
#include <map>
#include <memory>

#include "binding.hpp"
#include "epskew/backends/registry.hpp"
#include "epskew/support/error.hpp"
#include "formats.hpp"

namespace epskew::python {
namespace {

/// One rank of a world whose processes somebody else started. One micro-batch.
class JoinedRank {
 public:
  JoinedRank(std::unique_ptr<Exchange> exchange, int rank) : exchange_(std::move(exchange)), rank_(rank) {}

  Exchange& exchange() { return *exchange_; }
  int rank() const { return rank_; }

  void set_input(const Array<std::uint16_t>& x, nb::handle topk_idx, const Array<float>& weights) {
    const Integers ids = integers_of(topk_idx, "topk_idx");
    const ExchangeShape& shape = exchange_->shape();
    const auto hidden = static_cast<std::size_t>(shape.hidden);
    const auto topk = static_cast<std::size_t>(shape.topk);
    if (ids.shape.size() != 2 || ids.shape[1] != topk || x.size() != ids.shape[0] * hidden ||
        weights.size() != ids.values.size() || ids.shape[0] > static_cast<std::size_t>(shape.max_tokens)) {
      throw UsageError(
          fmt::format("a batch does not fit this exchange (x [T, {}], topk_idx and topk_weights [T, {}] of T "
                      "<= {} are needed); correct its shapes",
                      hidden, topk, shape.max_tokens));
    }
    ids_ = int32_of(ids, "topk_idx");
    weights_.assign(weights.data(), weights.data() + weights.size());
    x_.resize(x.size());
    std::memcpy(static_cast<void*>(x_.data()), x.data(), x.size() * sizeof(BFloat16));
    exchange_->set_input(0, 0, {x_, ids_, weights_});
  }

  /// A Received that views the exchange's own memory; its rows may be rank-major.
  nb::object received(nb::handle self) {
    const DispatchOutput output = exchange_->dispatch_output(0, 0);
    const ExchangeShape& shape = exchange_->shape();
    const auto experts = static_cast<std::size_t>(shape.experts_per_rank());
    const auto ranks = static_cast<std::size_t>(shape.num_ranks);
    std::vector<std::int64_t> counts, begins, sizes;
    for (std::size_t expert = 0; expert < experts; ++expert) {
      counts.push_back(output.expert_begin[expert + 1] - output.expert_begin[expert]);
      for (std::size_t source = 0; source < ranks; ++source) {
        const RowRange range = output.source_range[expert * ranks + source];
        begins.push_back(range.begin - output.expert_begin[expert]);
        sizes.push_back(range.count);
      }
    }
    nb::kwargs more;
    if (is_fp8(output.format)) more["scales"] = scales_of(output, self);
    if (!output.storage_row.empty()) {
      more["storage_row"] = view_of(output.storage_row.data(), {output.storage_row.size()}, self);
    }
    return nb::module_::import_("epskew._core")
        .attr("Received")(rows_of(output, self), array_from(std::move(counts), {experts}),
                          array_from(std::move(begins), {experts, ranks}),
                          array_from(std::move(sizes), {experts, ranks}),
                          view_of(output.source_token.data(), {output.source_token.size()}, self), **more);
  }

  nb::object expert_output(nb::handle self) {
    const auto hidden = static_cast<std::size_t>(exchange_->shape().hidden);
    const std::span<BFloat16> rows = exchange_->expert_output(0, 0);
    static std::uint16_t nothing = 0;
    auto* const bits = rows.empty() ? &nothing : reinterpret_cast<std::uint16_t*>(rows.data());
    return nb::cast(nb::ndarray<nb::numpy, std::uint16_t>(bits, {rows.size() / hidden, hidden}, self));
  }

  nb::object combined(nb::handle self) {
    const auto hidden = static_cast<std::size_t>(exchange_->shape().hidden);
    const std::span<const BFloat16> out = exchange_->combine_output(0, 0);
    return view_of(reinterpret_cast<const std::uint16_t*>(out.data()), {out.size() / hidden, hidden}, self);
  }

 private:
  nb::object rows_of(const DispatchOutput& output, nb::handle self) const {
    const auto hidden = static_cast<std::size_t>(exchange_->shape().hidden);
    const std::size_t rows = output.rows.size() / row_bytes(output.format, exchange_->shape().hidden);
    if (is_fp8(output.format)) {
      return view_of(reinterpret_cast<const std::uint8_t*>(output.rows.data()), {rows, hidden}, self);
    }
    return view_of(reinterpret_cast<const std::uint16_t*>(output.rows.data()), {rows, hidden}, self);
  }

  nb::object scales_of(const DispatchOutput& output, nb::handle self) const {
    const auto groups = static_cast<std::size_t>(exchange_->shape().num_scales());
    if (output.format == DispatchFormat::fp8_ue8m0) {
      return view_of(output.scale_bytes.data(), {output.scale_bytes.size() / groups, groups}, self);
    }
    return view_of(output.scales.data(), {output.scales.size() / groups, groups}, self);
  }

  std::unique_ptr<Exchange> exchange_;
  int rank_;
  std::vector<BFloat16> x_;
  std::vector<std::int32_t> ids_;
  std::vector<float> weights_;
};

std::unique_ptr<JoinedRank> join(const std::string& backend_name, int rank, nb::handle meeting_place,
                                 const ExchangeShape& shape, const ExchangeOptions& options) {
  const Backend* const backend = find_backend(backend_name);
  if (backend == nullptr)
    throw UsageError(fmt::format("backend {} is unknown (no such backend)", backend_name));
  if (rank < 0 || rank >= shape.num_ranks) {
    throw UsageError(fmt::format("rank {} is not in this world (it has {} ranks)", rank, shape.num_ranks));
  }
  const Membership membership{rank, path_of(meeting_place)};
  const nb::gil_scoped_release release;
  return std::make_unique<JoinedRank>(backend->join(shape, options, membership), rank);
}

}  // namespace

void add_exchange(nb::module_& module) {
  const auto phase = [](void (Exchange::*call)(int)) {
    return [call](JoinedRank& self) {
      const nb::gil_scoped_release release;
      (self.exchange().*call)(0);
    };
  };
  nb::class_<JoinedRank>(
      module, "Exchange",
      "One rank of epskew's own exchange, in a world whose processes somebody else started.")
      .def_prop_ro("rank", &JoinedRank::rank)
      .def("set_input", &JoinedRank::set_input, nb::arg("x"), nb::arg("topk_idx"), nb::arg("topk_weights"))
      .def("dispatch", phase(&Exchange::dispatch))
      .def("combine", phase(&Exchange::combine))
      .def("dispatch_send", phase(&Exchange::dispatch_send))
      .def("dispatch_recv", phase(&Exchange::dispatch_recv))
      .def("combine_send", phase(&Exchange::combine_send))
      .def("combine_recv", phase(&Exchange::combine_recv))
      .def("received", [](nb::handle self) { return nb::cast<JoinedRank&>(self).received(self); })
      .def("expert_output", [](nb::handle self) { return nb::cast<JoinedRank&>(self).expert_output(self); })
      .def("commit_expert_output", [](JoinedRank& self) { self.exchange().commit_expert_output(0, 0); })
      .def("combined", [](nb::handle self) { return nb::cast<JoinedRank&>(self).combined(self); })
      .def_prop_ro("combine_rounding",
                   [](JoinedRank& self) { return name_of_rounding(self.exchange().combine_rounding()); })
      .def_prop_ro("memory_bytes", [](JoinedRank& self) { return self.exchange().memory(0).reserved; });
  module.def(
      "join_exchange",
      [](const std::string& backend, int rank, int num_ranks, nb::handle meeting_place, int num_experts,
         int topk, int hidden, int max_tokens, const std::string& dispatch, const std::string& combine,
         const std::map<std::string, std::string>& variants, double timeout_s) {
        ExchangeOptions options;
        options.dispatch = dispatch_named(dispatch);
        options.combine = combine_named(combine);
        options.variants = variants;
        options.timeout = std::chrono::milliseconds(static_cast<std::int64_t>(std::ceil(timeout_s * 1e3)));
        return join(backend, rank, meeting_place, {num_ranks, num_experts, topk, hidden, max_tokens},
                    options);
      },
      nb::arg("backend"), nb::kw_only(), nb::arg("rank"), nb::arg("num_ranks"), nb::arg("meeting_place"),
      nb::arg("num_experts"), nb::arg("topk"), nb::arg("hidden"), nb::arg("max_tokens"),
      nb::arg("dispatch") = "fp8", nb::arg("combine") = "bf16",
      nb::arg("variants") = std::map<std::string, std::string>(), nb::arg("timeout_s") = 30.0);
}

}  // namespace epskew::python
