#pragma once

/// What the files of the binding share: one function a file, which adds its part of the module, and
/// conversions.

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace epskew::python {

namespace nb = nanobind;

void add_errors(nb::module_& module);
void add_routing(nb::module_& module);
void add_trace(nb::module_& module);
void add_exchange(nb::module_& module);
void add_fit(nb::module_& module);
void add_plan(nb::module_& module);
void add_oracle(nb::module_& module);
void add_number_formats(nb::module_& module);
void add_result(nb::module_& module);
void add_recorder(nb::module_& module);
void add_backends(nb::module_& module);

/// JSON text as dict, list, str, …
nb::object from_json_text(const std::string& text);

/// os.fspath(path); TypeError for what is no path.
std::filesystem::path path_of(nb::handle path);

template <class T>
using Array = nb::ndarray<nb::numpy, const T, nb::c_contig>;

/// A read-only numpy array of `shape` that views `data` and keeps `owner` alive.
template <class T>
nb::object view_of(const T* data, std::initializer_list<std::size_t> shape, nb::handle owner) {
  // numpy has no array without an address, even an empty one.
  static const T nothing{};
  return nb::cast(nb::ndarray<nb::numpy, const T>(data == nullptr ? &nothing : data, shape, owner));
}

/// A numpy array that owns `values`.
template <class T>
nb::object array_from(std::vector<T> values, std::initializer_list<std::size_t> shape) {
  auto* kept = new std::vector<T>(std::move(values));
  const nb::capsule owner(kept, [](void* pointer) noexcept { delete static_cast<std::vector<T>*>(pointer); });
  static T nothing{};
  return nb::cast(nb::ndarray<nb::numpy, T>(kept->empty() ? &nothing : kept->data(), shape, owner));
}

/// Anything that numpy takes as an array of whole numbers, copied. Throws UsageError, naming `what`, for
/// other numbers: nothing is rounded.
struct Integers {
  std::vector<std::int64_t> values;
  std::vector<std::size_t> shape;
};
Integers integers_of(nb::handle array, const char* what);

/// The same for numbers, as binary64.
struct Numbers {
  std::vector<double> values;
  std::vector<std::size_t> shape;
};
Numbers numbers_of(nb::handle array, const char* what);

/// Throws UsageError, as the command line does, for one that is no seed.
std::uint64_t seed_of(nb::handle seed);

/// num_tokens_per_rank as the flags take it, where empty means not given. Throws UsageError for an empty
/// list, which is none of anyone's tokens.
std::vector<std::int64_t> tokens_per_rank_of(std::optional<std::vector<std::int64_t>> given);

/// "[4, 128, 8]".
std::string shape_text(const std::vector<std::size_t>& shape);

/// integers_of, each within int32.
std::vector<std::int32_t> int32_of(const Integers& integers, const char* what);

}  // namespace epskew::python
