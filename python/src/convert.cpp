#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nanobind/stl/string.h>

#include <limits>
#include <string_view>

#include "binding.hpp"
#include "epskew/support/error.hpp"

namespace epskew::python {
namespace {

/// numpy.asarray(array) as `dtype`, C-contiguous, where its kind is one of `kinds`.
nb::object converted(nb::handle array, const char* what, std::string_view kinds, const char* dtype) {
  const nb::module_ numpy = nb::module_::import_("numpy");
  const nb::object given = numpy.attr("asarray")(array);
  const auto kind = nb::cast<std::string>(given.attr("dtype").attr("kind"));
  const bool empty = nb::cast<std::size_t>(given.attr("size")) == 0;
  if (!empty && kinds.find(kind) == std::string_view::npos) {
    throw UsageError(fmt::format("{} has dtype {} ({} are needed); convert it", what,
                                 nb::cast<std::string>(given.attr("dtype").attr("name")),
                                 kinds == "iu" ? "whole numbers" : "numbers"));
  }
  return numpy.attr("ascontiguousarray")(given, nb::arg("dtype") = dtype);
}

template <class Result, class T>
Result copied(nb::handle array, const char* what, std::string_view kinds, const char* dtype) {
  const auto typed =
      nb::cast<nb::ndarray<const T, nb::c_contig, nb::device::cpu>>(converted(array, what, kinds, dtype));
  Result result;
  result.values.assign(typed.data(), typed.data() + typed.size());
  for (std::size_t axis = 0; axis < typed.ndim(); ++axis) result.shape.push_back(typed.shape(axis));
  return result;
}

}  // namespace

nb::object from_json_text(const std::string& text) {
  return nb::module_::import_("json").attr("loads")(text);
}

std::filesystem::path path_of(nb::handle path) {
  const nb::object bytes = nb::module_::import_("os").attr("fsencode")(path);
  return std::string(nb::cast<nb::bytes>(bytes).c_str());
}

Integers integers_of(nb::handle array, const char* what) {
  return copied<Integers, std::int64_t>(array, what, "iu", "int64");
}

Numbers numbers_of(nb::handle array, const char* what) {
  return copied<Numbers, double>(array, what, "iuf", "float64");
}

std::uint64_t seed_of(nb::handle seed) {
  std::uint64_t value = 0;
  if (nb::try_cast(seed, value)) return value;
  std::int64_t below_zero = 0;
  if (nb::try_cast(seed, below_zero)) {
    throw UsageError(fmt::format("--seed {} is negative (it counts from 0); choose 0 or more", below_zero));
  }
  throw UsageError(
      fmt::format("--seed {} is no seed (whole numbers below 2^64 are); choose one", nb::str(seed).c_str()));
}

std::vector<std::int64_t> tokens_per_rank_of(std::optional<std::vector<std::int64_t>> given) {
  if (!given) return {};
  if (given->empty())
    throw UsageError(
        "num_tokens_per_rank is empty (it has a number for every rank); give one a rank, or leave it out");
  return std::move(*given);
}

std::string shape_text(const std::vector<std::size_t>& shape) {
  return fmt::format("[{}]", fmt::join(shape, ", "));
}

std::vector<std::int32_t> int32_of(const Integers& integers, const char* what) {
  std::vector<std::int32_t> narrow;
  narrow.reserve(integers.values.size());
  for (const std::int64_t value : integers.values) {
    if (value < std::numeric_limits<std::int32_t>::min() ||
        value > std::numeric_limits<std::int32_t>::max()) {
      throw UsageError(fmt::format("{} holds {} (32-bit numbers are possible); correct it", what, value));
    }
    narrow.push_back(static_cast<std::int32_t>(value));
  }
  return narrow;
}

}  // namespace epskew::python
