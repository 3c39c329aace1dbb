#pragma once

/// NumPy's .npy files, format versions 1 to 3 (numpy.lib.format).

#include <string>
#include <string_view>

#include "epskew/support/tensor.hpp"

namespace epskew {

/// The array in `bytes`, viewing them. Throws UsageError, starting with `name`, unless it is a whole, valid
/// file that holds a little-endian array of numbers in C order.
TensorView parse_npy(std::string_view bytes, const std::string& name);

bool looks_like_npy(std::string_view bytes);

}  // namespace epskew
