#include "binding.hpp"
#include "epskew/support/error.hpp"

namespace epskew::python {
namespace {

template <class Error>
void add_error(nb::module_& module, const char* name, PyObject* base, const char* doc) {
  nb::exception<Error> type(module, name, base);
  type.attr("__module__") = "epskew";
  type.attr("__doc__") = doc;
}

}  // namespace

void add_errors(nb::module_& module) {
  add_error<UsageError>(
      module, "UsageError", PyExc_ValueError,
      "The caller's mistake: \"problem (why); remedy\". Raised before any resource is touched.");
  add_error<WrongResult>(module, "WrongResult", PyExc_RuntimeError, "The oracle found a wrong result.");
  add_error<RankLost>(module, "RankLost", PyExc_RuntimeError,
                      "A rank died, or a wait ran out of time; the message says who waited for whom.");
  add_error<EnvironmentError>(module, "EnvironmentFailure", PyExc_RuntimeError,
                              "The system refused something: a call, a device, a disk.");
}

}  // namespace epskew::python
