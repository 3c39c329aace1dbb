#pragma once

/// Number formats and ways of rounding by name, and bf16 arrays.

#include <span>
#include <string>

#include "binding.hpp"
#include "epskew/exchange/shape.hpp"
#include "epskew/support/bfloat16.hpp"

namespace epskew::python {

/// Throw UsageError for an unknown name.
DispatchFormat dispatch_named(const std::string& name);
CombineFormat combine_named(const std::string& name);
CombineRounding rounding_named(const std::string& name);
const char* name_of_rounding(CombineRounding rounding);

/// A borrowed array of bf16 bits.
struct Bits {
  nb::ndarray<nb::ro, nb::c_contig, nb::device::cpu> owner;
  std::span<const BFloat16> values;
};
/// Throws UsageError, naming `what`, unless `array` is C-contiguous with 2 bytes a number.
Bits bits_of(nb::handle array, const char* what);

}  // namespace epskew::python
