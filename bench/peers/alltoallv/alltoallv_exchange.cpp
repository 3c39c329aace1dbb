#include "alltoallv_exchange.hpp"

#include <cstring>
#include <numeric>

#include "user_kernels.hpp"

namespace epskew::peer {
namespace {

/// Exclusive prefix sums of `counts`, each times `unit`.
std::vector<int> offsets(const std::vector<int>& counts, std::size_t unit) {
  std::vector<int> result(counts.size());
  int position = 0;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    result[i] = position;
    position += counts[i] * static_cast<int>(unit);
  }
  return result;
}

void alltoallv(const void* send, const std::vector<int>& send_rows, void* recv, const std::vector<int>& recv_rows,
               std::size_t row_bytes, MPI_Comm comm) {
  const auto bytes = [row_bytes](std::vector<int> rows) {
    for (int& count : rows) count *= static_cast<int>(row_bytes);
    return rows;
  };
  const auto send_bytes = bytes(send_rows), recv_bytes = bytes(recv_rows);
  MPI_Alltoallv(send, send_bytes.data(), offsets(send_rows, row_bytes).data(), MPI_BYTE, recv, recv_bytes.data(),
                offsets(recv_rows, row_bytes).data(), MPI_BYTE, comm);
}

int total(const std::vector<int>& counts) { return std::accumulate(counts.begin(), counts.end(), 0); }

}  // namespace

AlltoallvExchange::AlltoallvExchange(MPI_Comm comm, const ExchangeShape& shape, DispatchFormat format)
    : comm_(comm),
      shape_(shape),
      format_(format),
      payload_bytes_(row_bytes(format, shape.hidden)),
      message_bytes_(sizeof(std::int32_t) + payload_bytes_ +
                     (is_fp8(format) ? sizeof(float) * static_cast<std::size_t>(shape.num_scales()) : 0)) {
  MPI_Comm_rank(comm, &rank_);
}

void AlltoallvExchange::dispatch(const RankInput& input) {
  input_ = input;
  exchange_counts();
  pack();
  recv_.resize(static_cast<std::size_t>(total(recv_rows_)) * message_bytes_);
  alltoallv(send_.data(), send_rows_, recv_.data(), recv_rows_, message_bytes_, comm_);
  unpack();
}

void AlltoallvExchange::exchange_counts() {
  const int local = shape_.experts_per_rank();
  send_counts_.assign(static_cast<std::size_t>(shape_.num_experts), 0);
  for (const std::int32_t expert : input_.topk_idx) {
    if (expert >= 0) ++send_counts_[static_cast<std::size_t>(expert)];
  }
  recv_counts_.resize(send_counts_.size());
  MPI_Alltoall(send_counts_.data(), local, MPI_INT, recv_counts_.data(), local, MPI_INT, comm_);
  const auto sum_by_rank = [&](const std::vector<int>& counts) {
    std::vector<int> rows(static_cast<std::size_t>(shape_.num_ranks), 0);
    for (std::size_t i = 0; i < counts.size(); ++i) rows[i / static_cast<std::size_t>(local)] += counts[i];
    return rows;
  };
  send_rows_ = sum_by_rank(send_counts_);
  recv_rows_ = sum_by_rank(recv_counts_);
}

void AlltoallvExchange::pack() {
  const auto hidden = static_cast<std::size_t>(shape_.hidden);
  std::vector<int> next = offsets(send_counts_, 1);
  send_position_.assign(input_.topk_idx.size(), -1);
  send_.resize(static_cast<std::size_t>(total(send_rows_)) * message_bytes_);
  std::vector<std::byte> message(message_bytes_);
  std::vector<float> scales(static_cast<std::size_t>(shape_.num_scales()));
  std::vector<std::uint8_t> codes(hidden);
  for (std::size_t token = 0; token * hidden < input_.x.size(); ++token) {
    const auto x = input_.x.subspan(token * hidden, hidden);
    const auto index = static_cast<std::int32_t>(token);
    std::memcpy(message.data(), &index, sizeof index);
    std::byte* payload = message.data() + sizeof index;
    if (is_fp8(format_)) {
      cast_to_e4m3(x, codes, scales);
      std::memcpy(payload, codes.data(), payload_bytes_);
      std::memcpy(payload + payload_bytes_, scales.data(), scales.size() * sizeof(float));
    } else {
      std::memcpy(payload, x.data(), payload_bytes_);
    }
    for (int k = 0; k < shape_.topk; ++k) {
      const std::size_t selection = token * static_cast<std::size_t>(shape_.topk) + static_cast<std::size_t>(k);
      const std::int32_t expert = input_.topk_idx[selection];
      if (expert < 0) continue;
      send_position_[selection] = next[static_cast<std::size_t>(expert)]++;
      std::memcpy(send_.data() + static_cast<std::size_t>(send_position_[selection]) * message_bytes_, message.data(),
                  message_bytes_);
    }
  }
}

void AlltoallvExchange::unpack() {
  const auto ranks = static_cast<std::size_t>(shape_.num_ranks);
  const auto local = static_cast<std::size_t>(shape_.experts_per_rank());
  const auto num_scales = static_cast<std::size_t>(is_fp8(format_) ? shape_.num_scales() : 0);
  const auto num_rows = static_cast<std::size_t>(total(recv_rows_));
  source_range_.resize(local * ranks);
  expert_begin_.assign(1, 0);
  std::int32_t row = 0;
  for (std::size_t expert = 0; expert < local; ++expert) {
    for (std::size_t source = 0; source < ranks; ++source) {
      const int count = recv_counts_[source * local + expert];
      source_range_[expert * ranks + source] = {row, count};
      row += count;
    }
    expert_begin_.push_back(row);
  }
  rows_.resize(num_rows * payload_bytes_);
  scales_.resize(num_rows * num_scales);
  source_token_.resize(num_rows);
  row_of_message_.resize(num_rows);
  expert_output_.resize(num_rows * static_cast<std::size_t>(shape_.hidden));
  const std::byte* message = recv_.data();
  std::size_t index = 0;
  for (std::size_t source = 0; source < ranks; ++source) {
    for (std::size_t expert = 0; expert < local; ++expert) {
      const RowRange range = source_range_[expert * ranks + source];
      for (int i = 0; i < range.count; ++i, message += message_bytes_) {
        const auto target = static_cast<std::size_t>(range.begin + i);
        row_of_message_[index++] = static_cast<int>(target);
        std::memcpy(&source_token_[target], message, sizeof(std::int32_t));
        std::memcpy(rows_.data() + target * payload_bytes_, message + sizeof(std::int32_t), payload_bytes_);
        std::memcpy(scales_.data() + target * num_scales, message + sizeof(std::int32_t) + payload_bytes_,
                    num_scales * sizeof(float));
      }
    }
  }
}

void AlltoallvExchange::combine(std::span<BFloat16> out) {
  const auto hidden = static_cast<std::size_t>(shape_.hidden);
  back_send_.resize(expert_output_.size());
  for (std::size_t message = 0; message < row_of_message_.size(); ++message) {
    std::memcpy(back_send_.data() + message * hidden,
                expert_output_.data() + static_cast<std::size_t>(row_of_message_[message]) * hidden,
                hidden * sizeof(BFloat16));
  }
  back_recv_.resize(static_cast<std::size_t>(total(send_rows_)) * hidden);
  alltoallv(back_send_.data(), recv_rows_, back_recv_.data(), send_rows_, hidden * sizeof(BFloat16), comm_);
  std::vector<float> sum(hidden);
  const auto topk = static_cast<std::size_t>(shape_.topk);
  for (std::size_t token = 0; token * hidden < out.size(); ++token) {
    std::fill(sum.begin(), sum.end(), 0.0f);
    for (std::size_t selection = token * topk; selection < (token + 1) * topk; ++selection) {
      if (send_position_[selection] < 0) continue;
      const auto position = static_cast<std::size_t>(send_position_[selection]);
      accumulate(std::span(back_recv_).subspan(position * hidden, hidden), input_.topk_weights[selection], sum);
    }
    round_to_bf16(sum, out.subspan(token * hidden, hidden));
  }
}

DispatchOutput AlltoallvExchange::output() const {
  return {format_, rows_, scales_, {}, expert_begin_, source_range_, source_token_};
}

}  // namespace epskew::peer
