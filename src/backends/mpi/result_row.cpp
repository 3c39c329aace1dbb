#include "backends/mpi/result_row.hpp"

#include <algorithm>
#include <cstring>

#include "backends/mpi/lines.hpp"
#include "epskew/exchange/logfmt.hpp"
#include "exchange/kernels.hpp"

namespace epskew::mpi {
namespace {

std::size_t most_bytes(CombineFormat format, int hidden) {
  return format == CombineFormat::bf16 ? static_cast<std::size_t>(hidden) * sizeof(BFloat16)
                                       : logfmt10_row_bytes(hidden);
}

}  // namespace

ResultRow::ResultRow(const ExchangeShape& shape, CombineFormat combine_format)
    : format(combine_format),
      hidden(shape.hidden),
      capacity(whole_lines(most_bytes(combine_format, shape.hidden))) {}

std::size_t ResultRow::encode(const BFloat16* result, std::byte* out) const {
  if (is_coded()) return whole_lines(encode_logfmt_row(result, hidden, out));
  std::memcpy(out, result, capacity);
  return capacity;
}

std::size_t ResultRow::bytes(const std::byte* row) const {
  return is_coded() ? whole_lines(logfmt10_bytes_of(row, hidden)) : capacity;
}

const BFloat16* ResultRow::decode(const std::byte* row, BFloat16* room) const {
  if (!is_coded()) return reinterpret_cast<const BFloat16*>(row);
  decode_logfmt_row(row, hidden, room);
  return room;
}

std::vector<ResultRow::Part> ResultRow::parts(std::size_t rows) const {
  const std::size_t most = std::max<std::size_t>(message_bytes / capacity, 1);
  std::vector<Part> all;
  for (std::size_t first = 0; first < rows; first += most)
    all.push_back({first, std::min(most, rows - first)});
  return all;
}

void ResultRow::locate(const std::byte* first, std::size_t count, std::vector<const std::byte*>& rows) const {
  for (std::size_t i = 0; i < count; ++i) {
    rows.push_back(first);
    first += bytes(first);
  }
}

}  // namespace epskew::mpi
