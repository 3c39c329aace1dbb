/// What crosses between host and device outside of timed launches.

#include <fmt/format.h>

#include "backends/cuda/device_exchange.hpp"
#include "epskew/support/error.hpp"

namespace epskew::cuda {
namespace {

void validate_input(const ExchangeShape& shape, const RankInput& input) {
  const auto topk = static_cast<std::size_t>(shape.topk);
  const std::size_t tokens = input.topk_idx.size() / topk;
  if (input.topk_idx.size() % topk != 0 || input.topk_weights.size() != input.topk_idx.size() ||
      input.x.size() != tokens * static_cast<std::size_t>(shape.hidden)) {
    throw UsageError(fmt::format(
        "the input's sizes disagree (x {}, topk_idx {}, topk_weights {} elements; hidden {}, top-k {}); pass "
        "[T][H] and [T][K]",
        input.x.size(), input.topk_idx.size(), input.topk_weights.size(), shape.hidden, shape.topk));
  }
  if (tokens > static_cast<std::size_t>(shape.max_tokens)) {
    throw UsageError(fmt::format("{} tokens are too many (buffers are sized for {}); raise --num-tokens",
                                 tokens, shape.max_tokens));
  }
  for (const std::int32_t expert : input.topk_idx) {
    if (expert < -1 || expert >= shape.num_experts) {
      throw UsageError(
          fmt::format("expert {} does not exist (there are {}, and -1 masks); correct the routing", expert,
                      shape.num_experts));
    }
  }
}

}  // namespace

void DeviceExchange::set_input(int local, int batch, const RankInput& input) {
  validate_input(shape_, input);
  const ArenaOffsets at = layout_.at(0, batch);
  const DevicePart& part = part_of(rank_of(local));
  check(cudaSetDevice(part.device), "cudaSetDevice");
  const auto upload = [&](std::uint64_t offset, const auto& values) {
    check(cudaMemcpyAsync(arena(rank_of(local)) + offset, values.data(), values.size_bytes(),
                          cudaMemcpyHostToDevice, part.stream.get()),
          "cudaMemcpyAsync");
  };
  upload(at.x, input.x);
  upload(at.topk, input.topk_idx);
  upload(at.weights, input.topk_weights);
  part.stream.synchronize();
  batches_[static_cast<std::size_t>(batch)].tokens[static_cast<std::size_t>(rank_of(local))] =
      static_cast<int>(input.topk_idx.size() / static_cast<std::size_t>(shape_.topk));
}

template <class T>
void DeviceExchange::download(std::vector<T>& host, int rank, std::uint64_t offset, std::size_t count) {
  host.resize(count);
  const DevicePart& part = part_of(rank);
  check(cudaSetDevice(part.device), "cudaSetDevice");
  check(cudaMemcpyAsync(host.data(), arena(rank) + offset, count * sizeof(T), cudaMemcpyDeviceToHost,
                        part.stream.get()),
        "cudaMemcpyAsync");
}

int DeviceExchange::num_rows(int local, int batch) {
  Mirror& host = mirror(local, batch);
  download(host.expert_begin, rank_of(local), offsets(batch).expert_begin,
           static_cast<std::size_t>(shape_.experts_per_rank()) + 1);
  part_of(rank_of(local)).stream.synchronize();
  return host.expert_begin.back();
}

DispatchOutput DeviceExchange::dispatch_output(int local, int batch) {
  const ArenaOffsets at = offsets(batch);
  const auto rows = static_cast<std::size_t>(num_rows(local, batch));
  const auto groups = static_cast<std::size_t>(shape_.num_scales());
  Mirror& host = mirror(local, batch);
  download(host.rows, rank_of(local), at.rows, rows * row_bytes(options_.dispatch, shape_.hidden));
  download(host.source_token, rank_of(local), at.source_tokens, rows);
  download(host.source_range, rank_of(local), at.source_ranges,
           static_cast<std::size_t>(shape_.experts_per_rank()) * static_cast<std::size_t>(shape_.num_ranks));
  const bool bytes = options_.dispatch == DispatchFormat::fp8_ue8m0;
  download(host.scale_bytes, rank_of(local), at.scales, bytes ? rows * groups : 0);
  download(host.scales, rank_of(local), at.scales, is_fp8(options_.dispatch) && !bytes ? rows * groups : 0);
  part_of(rank_of(local)).stream.synchronize();
  DispatchOutput output;
  output.format = options_.dispatch;
  output.rows = host.rows;
  output.scales = host.scales;
  output.scale_bytes = host.scale_bytes;
  output.expert_begin = host.expert_begin;
  output.source_range = host.source_range;
  output.source_token = host.source_token;
  return output;
}

std::span<BFloat16> DeviceExchange::expert_output(int local, int batch) {
  Mirror& host = mirror(local, batch);
  host.expert_out.resize(2);
  const std::size_t parity = batches_[static_cast<std::size_t>(batch)].epoch % 2;
  const auto rows = static_cast<std::size_t>(num_rows(local, batch));
  std::vector<BFloat16>& out = host.expert_out[parity];
  out.resize(rows * static_cast<std::size_t>(shape_.hidden));
  return out;
}

void DeviceExchange::commit_expert_output(int local, int batch) {
  const std::size_t parity = batches_[static_cast<std::size_t>(batch)].epoch % 2;
  const Mirror& host = mirror(local, batch);
  if (host.expert_out.empty()) return;
  const std::vector<BFloat16>& out = host.expert_out[parity];
  const DevicePart& part = part_of(rank_of(local));
  check(cudaSetDevice(part.device), "cudaSetDevice");
  check(cudaMemcpyAsync(arena(rank_of(local)) + offsets(batch).expert_out, out.data(),
                        out.size() * sizeof(BFloat16), cudaMemcpyHostToDevice, part.stream.get()),
        "cudaMemcpyAsync");
  part.stream.synchronize();
}

std::span<const BFloat16> DeviceExchange::combine_output(int local, int batch) {
  Mirror& host = mirror(local, batch);
  const int tokens =
      batches_[static_cast<std::size_t>(batch)].tokens[static_cast<std::size_t>(rank_of(local))];
  download(host.combined, rank_of(local), offsets(batch).combined,
           static_cast<std::size_t>(tokens) * static_cast<std::size_t>(shape_.hidden));
  part_of(rank_of(local)).stream.synchronize();
  return host.combined;
}

MemoryUse DeviceExchange::memory(int) const {
  const auto exchange = static_cast<std::int64_t>(layout_.exchange_bytes());
  return {exchange, exchange, static_cast<std::int64_t>(layout_.bytes()) - exchange};
}

}  // namespace epskew::cuda
