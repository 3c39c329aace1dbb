#include "backends/cuda/device_exchange.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "epskew/support/error.hpp"

namespace epskew::cuda {
namespace {

constexpr std::uint64_t delay_seed = 0x5eed;

std::vector<int> all_ranks(int count) {
  std::vector<int> ranks(static_cast<std::size_t>(count));
  std::iota(ranks.begin(), ranks.end(), 0);
  return ranks;
}

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

std::string describe_abort(std::uint64_t word, std::chrono::milliseconds timeout) {
  const auto kind = static_cast<WaitKind>(word >> 32 & 0xff);
  const auto waiter = static_cast<int>(word >> 16 & 0xffff);
  const auto awaited = static_cast<int>(word & 0xffff);
  const char* what = kind == WaitKind::counts          ? "the counts"
                     : kind == WaitKind::dispatch_data ? "the tokens"
                                                       : "the expert outputs";
  return fmt::format("rank {} waited {:.1f} s for {} of rank {}", waiter,
                     static_cast<double>(timeout.count()) / 1e3, what, awaited);
}

}  // namespace

DeviceExchange::DeviceExchange(const ExchangeShape& shape, const ExchangeOptions& options,
                               const Settings& settings, const Plan& plan)
    : shape_(shape),
      options_(options),
      settings_(settings),
      plan_(plan),
      layout_(shape, options),
      ranks_(all_ranks(shape.num_ranks)) {
  enable_peer_access(settings.devices);
  for (std::size_t i = 0; i < settings.devices.size(); ++i) parts_.push_back(make_part(i));
  const auto ranks = static_cast<std::size_t>(shape.num_ranks);
  batches_.assign(static_cast<std::size_t>(options.micro_batches), Batch{0, std::vector<int>(ranks, 0)});
  mirrors_.resize(ranks * static_cast<std::size_t>(options.micro_batches));
}

std::unique_ptr<DevicePart> DeviceExchange::make_part(std::size_t index) const {
  const RankRange ranks =
      ranks_of_part(static_cast<int>(index), static_cast<int>(settings_.devices.size()), shape_.num_ranks);
  check(cudaSetDevice(settings_.devices[index]), "cudaSetDevice");
  auto part = std::make_unique<DevicePart>();
  part->device = settings_.devices[index];
  part->first_rank = ranks.first;
  part->num_ranks = ranks.count;
  part->arenas = DeviceMemory(layout_.bytes() * static_cast<std::size_t>(ranks.count));
  part->abort_word = DeviceMemory(sizeof(std::uint64_t));
  part->stamps = DeviceMemory(sizeof(Stamp) * stamp_capacity());
  // Flags and cells start below any epoch; payload starts as all ones, so that a row nobody wrote shows as
  // NaN.
  check(cudaMemset(part->arenas.data(), 0xff, part->arenas.size()), "cudaMemset");
  for (int set = 0; set < layout_.num_sets(); ++set) {
    const ArenaOffsets at = layout_.at(set, 0);
    for (std::size_t r = 0; r < static_cast<std::size_t>(ranks.count); ++r) {
      char* flags = part->arenas.data() + r * layout_.bytes() + at.count_cells;
      check(cudaMemset(flags, 0, at.source_tokens - at.count_cells), "cudaMemset");
    }
  }
  check(cudaMemset(part->abort_word.data(), 0, part->abort_word.size()), "cudaMemset");
  const std::size_t shared =
      std::max({plan_.fused_dispatch.shared_bytes, plan_.fused_combine.shared_bytes,
                plan_.lockstep_counts.shared_bytes, plan_.lockstep_dispatch.shared_bytes,
                plan_.lockstep_combine.shared_bytes});
  check(prepare_kernels(shared), "cudaFuncSetAttribute");
  check(cudaDeviceSynchronize(), "cudaDeviceSynchronize");
  return part;
}

DevicePart& DeviceExchange::part_of(int rank) const {
  for (const auto& part : parts_) {
    if (rank < part->first_rank + part->num_ranks) return *part;
  }
  return *parts_.back();
}

char* DeviceExchange::arena(int rank) const {
  const DevicePart& part = part_of(rank);
  return part.arenas.data() + static_cast<std::uint64_t>(rank - part.first_rank) * layout_.bytes();
}

ArenaOffsets DeviceExchange::offsets(int batch) const {
  const std::uint32_t epoch = batches_[static_cast<std::size_t>(batch)].epoch;
  const int parity = static_cast<int>((epoch + 1) % 2);
  return layout_.at(parity * options_.micro_batches + batch, batch);
}

void DeviceExchange::set_input(int local, int batch, const RankInput& input) {
  validate_input(shape_, input);
  const ArenaOffsets at = layout_.at(0, batch);
  const DevicePart& part = part_of(local);
  check(cudaSetDevice(part.device), "cudaSetDevice");
  const auto upload = [&](std::uint64_t offset, const auto& values) {
    check(cudaMemcpyAsync(arena(local) + offset, values.data(), values.size_bytes(), cudaMemcpyHostToDevice,
                          part.stream.get()),
          "cudaMemcpyAsync");
  };
  upload(at.x, input.x);
  upload(at.topk, input.topk_idx);
  upload(at.weights, input.topk_weights);
  part.stream.synchronize();
  batches_[static_cast<std::size_t>(batch)].tokens[static_cast<std::size_t>(local)] =
      static_cast<int>(input.topk_idx.size() / static_cast<std::size_t>(shape_.topk));
}

Launch DeviceExchange::make_launch(const DevicePart& part, int batch, unsigned phases) const {
  const Batch& state = batches_[static_cast<std::size_t>(batch)];
  Launch launch{};
  launch.num_ranks = shape_.num_ranks;
  launch.num_experts = shape_.num_experts;
  launch.experts_per_rank = shape_.experts_per_rank();
  launch.topk = shape_.topk;
  launch.hidden = shape_.hidden;
  launch.scale_rule = options_.dispatch == DispatchFormat::fp8_pow2    ? ScaleRule::power_of_two
                      : options_.dispatch == DispatchFormat::fp8_ue8m0 ? ScaleRule::exponent_byte
                                                                       : ScaleRule::exact;
  launch.encoded_stride = static_cast<std::uint32_t>(encoded_row_bytes(shape_.hidden));
  launch.phases = phases;
  launch.epoch = state.epoch;
  launch.flag_target = flag_unit * ((state.epoch + 1) / 2);
  launch.timeout_ns = static_cast<std::uint64_t>(std::chrono::nanoseconds(options_.timeout).count());
  launch.delay_max_ns = settings_.delay_max_ns;
  launch.delay_seed = settings_.delay_max_ns != 0 ? delay_seed : 0;
  launch.offsets = offsets(batch);
  launch.one_device = parts_.size() == 1;
  launch.abort_word = reinterpret_cast<std::uint64_t*>(part.abort_word.data());
  for (int r = 0; r < shape_.num_ranks; ++r) {
    launch.tokens[r] = state.tokens[static_cast<std::size_t>(r)];
    launch.peer[r] = arena(r);
  }
  return launch;
}

const LaunchSize& DeviceExchange::size_of(Operation operation, unsigned phases, bool fused) const {
  if (operation == Operation::combine) return fused ? plan_.fused_combine : plan_.lockstep_combine;
  if (fused) return plan_.fused_dispatch;
  return phases == phase_counts ? plan_.lockstep_counts : plan_.lockstep_dispatch;
}

namespace {

/// A launch that only signals or waits needs one block a rank, and a thread a peer.
bool only_flags(Operation operation, unsigned phases, const ExchangeOptions& options) {
  if (operation == Operation::dispatch) return phases == phase_recv;
  return phases == phase_send && options.combine == CombineFormat::bf16;
}

}  // namespace

int DeviceExchange::blocks_of(Operation operation, unsigned phases, bool fused) const {
  return only_flags(operation, phases, options_) ? 1 : size_of(operation, phases, fused).blocks;
}

void DeviceExchange::start(const DevicePart& part, Operation operation, int ranks, bool fused,
                           Launch& arguments) const {
  const LaunchSize& size = size_of(operation, arguments.phases, fused);
  const bool flags = only_flags(operation, arguments.phases, options_);
  arguments.blocks_per_rank = flags ? 1 : size.blocks;
  arguments.own_tokens = size.own_tokens;
  Grid grid;
  grid.blocks = arguments.blocks_per_rank * ranks;
  grid.threads = flags ? warp_size : arguments.phases == phase_counts ? block_threads / 2 : block_threads;
  grid.shared_bytes = flags ? 0 : size.shared_bytes;
  const bool logfmt = options_.combine == CombineFormat::logfmt10;
  grid.cooperative = fused && (ranks > 1 || logfmt);
  const KernelFormats formats{is_fp8(options_.dispatch), logfmt};
  check(cudaSetDevice(part.device), "cudaSetDevice");
  check(launch(operation, formats, grid, arguments, part.stream.get()), "kernel launch");
}

void DeviceExchange::launch_fused(const DevicePart& part, Operation operation, int batch, unsigned phases,
                                  Stamp* stamps) const {
  Launch arguments = make_launch(part, batch, phases);
  arguments.first_rank = part.first_rank;
  arguments.stamps = stamps;
  start(part, operation, part.num_ranks, true, arguments);
}

void DeviceExchange::launch_lockstep(Operation operation, int rank, int batch, unsigned phases,
                                     Stamp* stamps) const {
  const DevicePart& part = part_of(rank);
  Launch arguments = make_launch(part, batch, phases);
  arguments.first_rank = rank;
  arguments.stamps = stamps;
  start(part, operation, 1, false, arguments);
}

void DeviceExchange::run_phase(Operation operation, int batch, unsigned phases, bool fused) {
  if (fused) {
    for (const auto& part : parts_) launch_fused(*part, operation, batch, phases, nullptr);
    return;
  }
  if ((phases & phase_counts) != 0) {
    for (const int rank : ranks_) launch_lockstep(operation, rank, batch, phase_counts, nullptr);
    phases &= ~unsigned{phase_counts};
  }
  for (const int rank : ranks_) launch_lockstep(operation, rank, batch, phases, nullptr);
}

void DeviceExchange::begin_operation(int batch) {
  ++batches_[static_cast<std::size_t>(batch)].epoch;
}

void DeviceExchange::finish(const char* phase) {
  for (const auto& part : parts_) part->stream.synchronize();
  for (const auto& part : parts_) {
    std::uint64_t word = 0;
    check(cudaMemcpy(&word, part->abort_word.data(), sizeof word, cudaMemcpyDeviceToHost), "cudaMemcpy");
    if (word != 0) throw RankLost(fmt::format("{}: {}", phase, describe_abort(word, options_.timeout)));
  }
}

void DeviceExchange::dispatch_send(int batch) {
  begin_operation(batch);
  run_phase(Operation::dispatch, batch, phase_counts | phase_send, settings_.driver == Driver::fused);
  finish("dispatch_send");
}

void DeviceExchange::dispatch_recv(int batch) {
  run_phase(Operation::dispatch, batch, phase_recv, settings_.driver == Driver::fused);
  finish("dispatch_recv");
}

void DeviceExchange::combine_send(int batch) {
  run_phase(Operation::combine, batch, phase_send, settings_.driver == Driver::fused);
  finish("combine_send");
}

void DeviceExchange::combine_recv(int batch) {
  run_phase(Operation::combine, batch, phase_recv, settings_.driver == Driver::fused);
  finish("combine_recv");
}

void DeviceExchange::dispatch(int batch) {
  if (settings_.driver == Driver::lockstep) {
    dispatch_send(batch);
    dispatch_recv(batch);
    return;
  }
  begin_operation(batch);
  run_phase(Operation::dispatch, batch, phase_counts | phase_send | phase_recv, true);
  finish("dispatch");
}

void DeviceExchange::combine(int batch) {
  if (settings_.driver == Driver::lockstep) {
    combine_send(batch);
    combine_recv(batch);
    return;
  }
  run_phase(Operation::combine, batch, phase_send | phase_recv, true);
  finish("combine");
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
  download(host.expert_begin, local, offsets(batch).expert_begin,
           static_cast<std::size_t>(shape_.experts_per_rank()) + 1);
  part_of(local).stream.synchronize();
  return host.expert_begin.back();
}

DispatchOutput DeviceExchange::dispatch_output(int local, int batch) {
  const ArenaOffsets at = offsets(batch);
  const auto rows = static_cast<std::size_t>(num_rows(local, batch));
  const auto groups = static_cast<std::size_t>(shape_.num_scales());
  Mirror& host = mirror(local, batch);
  download(host.rows, local, at.rows, rows * row_bytes(options_.dispatch, shape_.hidden));
  download(host.source_token, local, at.source_tokens, rows);
  download(host.source_range, local, at.source_ranges,
           static_cast<std::size_t>(shape_.experts_per_rank()) * static_cast<std::size_t>(shape_.num_ranks));
  const bool bytes = options_.dispatch == DispatchFormat::fp8_ue8m0;
  download(host.scale_bytes, local, at.scales, bytes ? rows * groups : 0);
  download(host.scales, local, at.scales, is_fp8(options_.dispatch) && !bytes ? rows * groups : 0);
  part_of(local).stream.synchronize();
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
  const DevicePart& part = part_of(local);
  check(cudaSetDevice(part.device), "cudaSetDevice");
  check(cudaMemcpyAsync(arena(local) + offsets(batch).expert_out, out.data(), out.size() * sizeof(BFloat16),
                        cudaMemcpyHostToDevice, part.stream.get()),
        "cudaMemcpyAsync");
  part.stream.synchronize();
}

std::span<const BFloat16> DeviceExchange::combine_output(int local, int batch) {
  Mirror& host = mirror(local, batch);
  const int tokens = batches_[static_cast<std::size_t>(batch)].tokens[static_cast<std::size_t>(local)];
  download(host.combined, local, offsets(batch).combined,
           static_cast<std::size_t>(tokens) * static_cast<std::size_t>(shape_.hidden));
  part_of(local).stream.synchronize();
  return host.combined;
}

MemoryUse DeviceExchange::memory(int) const {
  const auto bytes = static_cast<std::int64_t>(layout_.bytes());
  return {bytes, bytes};
}

}  // namespace epskew::cuda
