#include "result.hpp"

#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "epskew/report/compare.hpp"
#include "epskew/report/csv.hpp"
#include "epskew/report/html.hpp"
#include "epskew/report/json.hpp"
#include "epskew/report/tables.hpp"
#include "epskew/support/error.hpp"
#include "epskew/support/output_file.hpp"
#include "phase_names.hpp"

namespace epskew::python {
namespace {

using Named = std::pair<std::string, const Result*>;

NamedRecord named(const Named& result) {
  if (result.second == nullptr) throw nb::type_error("a result is needed, not None");
  return {result.first, result.second->record};
}

std::string page_of(const std::vector<Named>& results) {
  std::vector<NamedRecord> records;
  for (const Named& result : results) records.push_back(named(result));
  return report_page(records);
}

void write_file(const std::string& flag, nb::handle path, const std::string& text) {
  const OutputFile output(flag, path_of(path).string());
  if (output.is_stdout())
    throw UsageError(flag + " - is no file (standard output is the caller's to write); give it a name");
  output.write(text);
}

void save(const Result& result, nb::handle path) {
  write_file("path", path, to_json(result.record));
}

void add_comparison(nb::module_& module) {
  nb::class_<Comparison>(module, "Comparison", "Two results held against each other: `epskew compare`.")
      .def("table", &comparison_table)
      .def("json", [](const Comparison& self) { return to_json(self); })
      .def("to_dict", [](const Comparison& self) { return from_json_text(to_json(self)); });
  module.def(
      "compare",
      [](const Named& a, const Named& b, const std::vector<std::string>& phases, bool allow_different_routing,
         std::optional<double> fail_above) {
        CompareOptions options;
        options.phases = app::phases_of_names(phases);
        options.allow_different_routing = allow_different_routing;
        options.fail_above = fail_above;
        return compare(named(a), named(b), options);
      },
      nb::arg("a"), nb::arg("b"), nb::kw_only(),
      nb::arg("phases") = std::vector<std::string>{"dispatch_combine", "dispatch", "combine"},
      nb::arg("allow_different_routing") = false, nb::arg("fail_above") = nb::none(),
      "Ratios of two results with their intervals.");
}

}  // namespace

void add_result(nb::module_& module) {
  nb::class_<Result>(module, "Result", "A finished run, and everything that is rendered from it.")
      .def_static(
          "load", [](nb::handle path) { return Result{read_record(path_of(path))}; }, nb::arg("path"))
      .def_static(
          "from_json", [](const std::string& text) { return Result{from_json(text, "the text")}; },
          nb::arg("text"))
      .def("json", [](const Result& self) { return to_json(self.record); })
      .def("to_dict", [](const Result& self) { return from_json_text(to_json(self.record)); })
      .def("csv", [](const Result& self) { return to_csv(self.record); })
      .def("describe_run", [](const Result& self) { return describe_run(self.record); })
      .def("tables", [](const Result& self) { return tables(self.record); })
      .def(
          "html",
          [](const Result& self, const std::optional<std::string>& name) {
            return page_of({{name.value_or(self.record.host.name), &self}});
          },
          nb::arg("name") = nb::none())
      .def("save", &save, nb::arg("path"));
  module.def("report_page", &page_of, nb::arg("results"), "One page with plots from named results.");
  module.def("write_file", &write_file, nb::arg("flag"), nb::arg("path"), nb::arg("text"),
             "Writes a file as the program does: whole or not at all; a device or a pipe in place.");
  add_comparison(module);
}

}  // namespace epskew::python
