#include "epskew/fit/fit.hpp"

#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "binding.hpp"
#include "epskew/fit/fit_json.hpp"
#include "fit_flags.hpp"
#include "trace.hpp"

namespace epskew::python {

void add_fit(nb::module_& module) {
  const app::FitFlags unset;
  module.def(
      "fit",
      [](nb::object source, const std::vector<std::string>& levels, const std::vector<int>& num_processes,
         const std::vector<int>& windows, nb::object placement, int bootstrap, nb::handle seed) {
        app::FitFlags flags;
        flags.levels = levels;
        flags.num_processes = num_processes;
        flags.windows = windows.empty() ? std::vector<int>{0} : windows;
        if (!placement.is_none()) flags.placement = path_of(placement).string();
        flags.bootstrap = bootstrap;
        flags.seed = seed_of(seed);
        Trace made;
        const bool is_trace = nb::isinstance<Trace>(source);
        if (!is_trace) made = trace_of_counts(source, std::nullopt);
        const Trace& trace = is_trace ? nb::cast<const Trace&>(source) : made;
        const FitOptions options = app::options_of(flags, trace.num_experts);
        std::string document;
        {
          const nb::gil_scoped_release release;
          document = to_json(fit_trace(trace, options), app::run_of({"epskew.fit"}));
        }
        return from_json_text(document);
      },
      nb::arg("source"), nb::kw_only(), nb::arg("levels") = unset.levels,
      nb::arg("num_processes") = unset.num_processes, nb::arg("windows") = unset.windows,
      nb::arg("placement") = nb::none(), nb::arg("bootstrap") = unset.bootstrap, nb::arg("seed") = unset.seed,
      "Which distribution a recording follows: the document of `epskew fit --json`.");
}

}  // namespace epskew::python
