#include "formats.hpp"

#include <fmt/format.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <array>
#include <stdexcept>
#include <utility>

#include "epskew/exchange/number_formats.hpp"
#include "epskew/support/error.hpp"

namespace epskew::python {
namespace {

using Floats = nb::ndarray<const float, nb::c_contig, nb::device::cpu>;
constexpr std::array roundings{std::pair{CombineRounding::in_order, "in_order"},
                               std::pair{CombineRounding::any_order, "any_order"},
                               std::pair{CombineRounding::summed_on_the_way, "summed_on_the_way"}};

using Bytes = nb::ndarray<const std::uint8_t, nb::c_contig, nb::device::cpu>;

/// numpy.empty_like in shape, another dtype.
nb::object empty(const nb::ndarray<nb::ro, nb::c_contig, nb::device::cpu>& like, const char* dtype) {
  nb::list shape;
  for (std::size_t axis = 0; axis < like.ndim(); ++axis) shape.append(like.shape(axis));
  return nb::module_::import_("numpy").attr("empty")(nb::tuple(shape), dtype);
}

template <class T>
std::span<T> writable(nb::handle array) {
  const auto typed = nb::cast<nb::ndarray<T, nb::c_contig, nb::device::cpu>>(array);
  return {typed.data(), typed.size()};
}

std::size_t checked_columns(std::size_t columns) {
  if (columns == 0 || columns % scale_group != 0) {
    throw UsageError(fmt::format(
        "x has {} columns (a multiple of {}, which share a scale, is needed); pad it", columns, scale_group));
  }
  return columns;
}

nb::tuple quantise(nb::handle x, bool power_of_two) {
  const Bits bits = bits_of(x, "x");
  if (bits.owner.ndim() != 2) throw UsageError("x is no matrix (rows [n, H] are needed); reshape it");
  const std::size_t rows = bits.owner.shape(0);
  const std::size_t columns = checked_columns(bits.owner.shape(1));
  const std::size_t groups = columns / scale_group;
  std::vector<std::uint8_t> codes(rows * columns);
  std::vector<float> scales(rows * groups);
  for (std::size_t row = 0; row < rows; ++row) {
    quantise_fp8(bits.values.subspan(row * columns, columns), power_of_two,
                 std::span(codes).subspan(row * columns, columns),
                 std::span(scales).subspan(row * groups, groups));
  }
  return nb::make_tuple(array_from(std::move(codes), {rows, columns}),
                        array_from(std::move(scales), {rows, groups}));
}

nb::object dequantise(const Bytes& codes, nb::handle scales) {
  if (codes.ndim() != 2) throw UsageError("codes are no matrix (rows [n, H] are needed); reshape them");
  const std::size_t rows = codes.shape(0);
  const std::size_t columns = checked_columns(codes.shape(1));
  DispatchOutput output;
  output.rows = std::as_bytes(std::span(codes.data(), codes.size()));
  Floats floats;
  Bytes bytes;
  if (nb::try_cast(scales, floats, false)) {
    output.format = DispatchFormat::fp8;
    output.scales = {floats.data(), floats.size()};
  } else if (nb::try_cast(scales, bytes, false)) {
    output.format = DispatchFormat::fp8_ue8m0;
    output.scale_bytes = {bytes.data(), bytes.size()};
  }
  if (output.scales.size() + output.scale_bytes.size() != rows * columns / scale_group) {
    throw UsageError(
        fmt::format("scales are no C-contiguous float32 or uint8 array of {} numbers (one for {} columns); "
                    "give one",
                    rows * columns / scale_group, scale_group));
  }
  std::vector<std::uint16_t> values(rows * columns);
  for (std::size_t row = 0; row < rows; ++row) {
    dequantise_row(output, static_cast<std::int64_t>(row),
                   {reinterpret_cast<BFloat16*>(values.data()) + row * columns, columns});
  }
  return array_from(std::move(values), {rows, columns});
}

nb::object rounded(const Floats& x) {
  const nb::object out = empty(nb::ndarray<nb::ro, nb::c_contig, nb::device::cpu>(x), "uint16");
  const auto bits = writable<std::uint16_t>(out);
  for (std::size_t i = 0; i < bits.size(); ++i) bits[i] = to_bfloat16(x.data()[i]).bits;
  return out;
}

nb::object widened(nb::handle x) {
  const Bits bits = bits_of(x, "x");
  const nb::object out = empty(bits.owner, "float32");
  const auto floats = writable<float>(out);
  for (std::size_t i = 0; i < floats.size(); ++i) floats[i] = to_float(bits.values[i]);
  return out;
}

}  // namespace

CombineRounding rounding_named(const std::string& name) {
  for (const auto& [rounding, known] : roundings) {
    if (name == known) return rounding;
  }
  throw UsageError(fmt::format(
      "rounding {} is unknown (no such rounding); known: in_order, any_order, summed_on_the_way", name));
}

const char* name_of_rounding(CombineRounding rounding) {
  for (const auto& [known, name] : roundings) {
    if (rounding == known) return name;
  }
  throw std::logic_error("a rounding without a name");
}

DispatchFormat dispatch_named(const std::string& name) {
  if (const auto format = find_dispatch_format(name)) return *format;
  throw UsageError(fmt::format(
      "dispatch format {} is unknown (no such format); known: bf16, fp8, fp8_pow2, fp8_ue8m0", name));
}

CombineFormat combine_named(const std::string& name) {
  for (const CombineFormat format : {CombineFormat::bf16, CombineFormat::logfmt10}) {
    if (name_of(format) == name) return format;
  }
  throw UsageError(fmt::format("combine format {} is unknown (no such format); known: bf16, logfmt10", name));
}

Bits bits_of(nb::handle array, const char* what) {
  Bits bits;
  if (!nb::try_cast(array, bits.owner, false) || bits.owner.itemsize() != sizeof(BFloat16)) {
    throw UsageError(
        fmt::format("{} is no C-contiguous array of bf16 bits in host memory (2 bytes a number); give "
                    "numpy.ascontiguousarray of it, viewed as uint16",
                    what));
  }
  bits.values = {static_cast<const BFloat16*>(bits.owner.data()), bits.owner.size()};
  return bits;
}

void add_number_formats(nb::module_& module) {
  module.def("quantise_fp8", &quantise, nb::arg("x"), nb::kw_only(), nb::arg("power_of_two") = false,
             "bf16 bits [n, H] to e4m3 codes [n, H] and scales [n, H / 128].");
  module.def("dequantise_fp8", &dequantise, nb::arg("codes"), nb::arg("scales"),
             "e4m3 codes and scales to bf16 bits, rounded once.");
  module.def("to_bfloat16", &rounded, nb::arg("x"), "float32 to bf16 bits, to nearest, ties to even.");
  module.def("to_float32", &widened, nb::arg("x"), "bf16 bits to float32, exactly.");
}

}  // namespace epskew::python
