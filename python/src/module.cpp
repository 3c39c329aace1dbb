#include "binding.hpp"
#include "epskew/report/provenance.hpp"

NB_MODULE(_core, module) {
  using namespace epskew::python;
  module.attr("__version__") = epskew::library_version();
  add_errors(module);
  add_routing(module);
  add_trace(module);
  add_fit(module);
  add_plan(module);
  add_oracle(module);
  add_exchange(module);
  add_number_formats(module);
  add_result(module);
  add_recorder(module);
  add_backends(module);
}
