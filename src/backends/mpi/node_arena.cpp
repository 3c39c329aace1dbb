#include "backends/mpi/node_arena.hpp"

#include <algorithm>
#include <cstring>

namespace epskew::mpi {
namespace {

constexpr std::size_t page = 4096;

std::size_t pages(std::size_t bytes) {
  return (bytes + page - 1) / page * page;
}

}  // namespace

void NodeArena::reserve(std::int32_t rows) {
  if (window_ && rows <= capacity_) return;
  // A little more than asked for, or a slowly growing load would make a new window every time.
  capacity_ = std::max(rows + rows / 8, 1);
  const auto capacity = static_cast<std::size_t>(capacity_);
  scales_ = rows_ + pages(capacity * wire_->row_size);
  source_token_ = scales_ + pages(capacity * wire_->scales_size);
  results_ = source_token_ + pages(capacity * sizeof(std::int32_t));
  coded_ = results_ + pages(capacity * static_cast<std::size_t>(wire_->hidden) * sizeof(BFloat16));
  const std::size_t bytes = coded_ + (result_row_->is_coded() ? pages(capacity * result_row_->capacity) : 0);
  window_.reset();
  window_ = std::make_unique<SharedWindow>(node_->get(), bytes, *control_);
}

void NodeArena::store(int member, std::int32_t row_index, const std::byte* payload,
                      std::int32_t token) const {
  stream_copy(payload, row(member, row_index), wire_->row_size);
  std::memcpy(scales(member, row_index), payload + wire_->row_size, wire_->scales_size);
  source_token(member)[row_index] = token;
}

}  // namespace epskew::mpi
