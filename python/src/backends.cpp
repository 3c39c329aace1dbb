#include <fmt/format.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "epskew/backends/registry.hpp"
#include "epskew/report/tables.hpp"
#include "plan.hpp"
#include "result.hpp"

namespace epskew::python {
namespace {

struct BackendView {
  const Backend* backend;
};

/// Tells Python about finished rounds. What a callback raises ends the run; the interpreter's own errors pass
/// through.
SessionObserver observer_of(const nb::object& on_round) {
  SessionObserver observer;
  if (on_round.is_none()) return observer;
  observer.round_finished = [&on_round](const RoundRecord& round) {
    const nb::gil_scoped_acquire acquire;
    on_round(describe_round(round));
  };
  return observer;
}

std::optional<Result> run_bench(const BenchPlan& plan, const std::optional<std::string>& name,
                                const nb::object& on_round) {
  const Backend& backend = app::backend_named(name.value_or(plan.flags.backend));
  const SessionObserver observer = observer_of(on_round);
  const nb::gil_scoped_release release;
  std::optional<Record> record = run_session(backend, plan.session(), observer);
  if (!record) return std::nullopt;
  return Result{std::move(*record)};
}

}  // namespace

void add_backends(nb::module_& module) {
  nb::class_<BackendView>(module, "Backend", "One of epskew's own exchanges, compiled in or not.")
      .def_prop_ro("name", [](const BackendView& self) { return std::string(self.backend->name()); })
      .def_prop_ro("summary", [](const BackendView& self) { return std::string(self.backend->summary()); })
      .def_prop_ro("unusable", [](const BackendView& self) { return self.backend->unusable(); })
      .def_prop_ro("facts", [](const BackendView& self) { return self.backend->facts(); })
      .def("__repr__",
           [](const BackendView& self) { return fmt::format("<epskew.Backend {}>", self.backend->name()); });
  module.def(
      "backends",
      [] {
        std::vector<BackendView> views;
        for (const Backend* backend : all_backends()) views.push_back({backend});
        return views;
      },
      "epskew's own exchanges, in the order in which bench prefers them.");
  module.def("run_bench", &run_bench, nb::arg("plan"), nb::kw_only(), nb::arg("backend") = nb::none(),
             nb::arg("on_round") = nb::none(),
             "Runs a plan on epskew's own exchange, as `epskew bench` does.");
}

}  // namespace epskew::python
