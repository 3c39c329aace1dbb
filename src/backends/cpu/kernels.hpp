#pragma once

/// The shared kernels under the names that this backend's tests use.

#include "exchange/kernels.hpp"

namespace epskew::cpu {

using epskew::decode_logfmt_row;
using epskew::encode_logfmt_row;
using epskew::finish_streaming;
using epskew::instruction_set;
using epskew::quantise_row;
using epskew::reduce_rows;
using epskew::stream_copies;
using epskew::stream_copy;
using epskew::WeightedRow;

}  // namespace epskew::cpu
