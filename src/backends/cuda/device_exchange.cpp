#include "backends/cuda/device_exchange.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "epskew/support/error.hpp"

namespace epskew::cuda {
namespace {

constexpr std::uint32_t delay_seed = 0x5eed;

std::vector<int> all_ranks(int count) {
  std::vector<int> ranks(static_cast<std::size_t>(count));
  std::iota(ranks.begin(), ranks.end(), 0);
  return ranks;
}

}  // namespace

DeviceExchange::DeviceExchange(const ExchangeShape& shape, const ExchangeOptions& options,
                               const Settings& settings, const Plan& plan, Bootstrap* job)
    : shape_(shape),
      options_(options),
      settings_(settings),
      plan_(plan),
      layout_(shape, options, plan.algorithms),
      ranks_(job != nullptr ? std::vector<int>{job->rank()} : all_ranks(shape.num_ranks)),
      job_(job) {
  enable_peer_access(settings.devices);
  for (std::size_t i = 0; i < settings.devices.size(); ++i) parts_.push_back(make_part(i));
  const auto ranks = static_cast<std::size_t>(shape.num_ranks);
  batches_.assign(static_cast<std::size_t>(options.micro_batches),
                  Batch{0, std::vector<int>(ranks, 0), {}, std::vector<std::uint8_t>(ranks, 0)});
  mirrors_.resize(ranks * static_cast<std::size_t>(options.micro_batches));
  if (job != nullptr) reach_peers();
}

/// Others still read this memory until they have closed it; after a failure nobody is waited for.
DeviceExchange::~DeviceExchange() {
  if (job_ == nullptr) return;
  peers_.reset();
  try {
    job_->barrier("closing the exchange");
  } catch (const std::exception&) {
    // A failure has been told to all already.
  }
}

void DeviceExchange::reach_peers() {
  peers_ = std::make_unique<PeerArenas>(*job_, parts_.front()->arenas.data());
  for (int rank = 0; rank < shape_.num_ranks; ++rank) {
    if (peers_->of(rank) != nullptr) continue;
    throw UsageError(
        fmt::format("rank {} cannot load and store the GPU memory of rank {} ({}), and there is no other "
                    "transport yet; use GPUs "
                    "that are peers of each other, or --backend mpi",
                    job_->rank(), rank, peers_->obstacle(rank)));
  }
}

void DeviceExchange::meet(const char* where) const {
  if (job_ == nullptr) return;
  for (const auto& part : parts_) part->stream.synchronize();
  job_->barrier(where);
}

void DeviceExchange::align() {
  meet("aligning the ranks");
}

std::unique_ptr<DevicePart> DeviceExchange::make_part(std::size_t index) const {
  const int parts = static_cast<int>(settings_.devices.size());
  const RankRange ranks = job_ != nullptr ? RankRange{job_->rank(), 1}
                                          : ranks_of_part(static_cast<int>(index), parts, shape_.num_ranks);
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
  for (int batch = 0; batch < options_.micro_batches; ++batch) clear_flags(*part, batch);
  check(cudaMemset(part->abort_word.data(), 0, part->abort_word.size()), "cudaMemset");
  const std::size_t shared =
      std::max({plan_.fused_dispatch.shared_bytes, plan_.fused_combine.shared_bytes,
                plan_.lockstep_counts.shared_bytes, plan_.lockstep_dispatch.shared_bytes,
                plan_.lockstep_combine.shared_bytes});
  check(prepare_kernels(shared, kernel_formats()), "cudaFuncSetAttribute");
  check(cudaDeviceSynchronize(), "cudaDeviceSynchronize");
  return part;
}

void DeviceExchange::clear_flags(const DevicePart& part, int batch) const {
  for (const int parity : {0, 1}) {
    const ArenaOffsets at = layout_.at(set_of(parity, batch), batch);
    for (int r = 0; r < part.num_ranks; ++r) {
      char* flags = part.arenas.data() + static_cast<std::uint64_t>(r) * layout_.bytes() + at.count_cells;
      check(cudaMemset(flags, 0, layout_.flag_bytes()), "cudaMemset");
    }
  }
}

KernelFormats DeviceExchange::kernel_formats() const {
  return {is_fp8(options_.dispatch), options_.combine == CombineFormat::logfmt10, plan_.algorithms};
}

DevicePart& DeviceExchange::part_of(int rank) const {
  for (const auto& part : parts_) {
    if (rank < part->first_rank + part->num_ranks) return *part;
  }
  return *parts_.back();
}

char* DeviceExchange::arena(int rank) const {
  if (peers_) return peers_->of(rank);
  const DevicePart& part = part_of(rank);
  return part.arenas.data() + static_cast<std::uint64_t>(rank - part.first_rank) * layout_.bytes();
}

ArenaOffsets DeviceExchange::offsets(int batch) const {
  const std::uint32_t epoch = batches_[static_cast<std::size_t>(batch)].epoch;
  return layout_.at(set_of(static_cast<int>((epoch + 1) % 2), batch), batch);
}

Launch DeviceExchange::make_launch(const DevicePart& part, int batch, unsigned phases) const {
  const Batch& state = batches_[static_cast<std::size_t>(batch)];
  Launch launch{};
  launch.num_ranks = shape_.num_ranks;
  launch.num_experts = Divisor(shape_.num_experts);
  launch.experts_per_rank = Divisor(shape_.experts_per_rank());
  launch.topk = Divisor(shape_.topk);
  launch.hidden = shape_.hidden;
  launch.max_tokens = shape_.max_tokens;
  launch.algorithms = plan_.algorithms;
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
  launch.lost = state.lost;
  launch.stopped = stopped_;
  launch.all_take_part = !state.lost.any() && !stopped_.any();
  launch.one_device = parts_.size() == 1 && job_ == nullptr;
  launch.abort_word = reinterpret_cast<std::uint64_t*>(part.abort_word.data());
  for (int r = 0; r < shape_.num_ranks; ++r) {
    launch.peer[r] = {arena(r), state.tokens[static_cast<std::size_t>(r)], 0};
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
bool only_flags(Operation operation, unsigned phases, const KernelFormats& formats) {
  if (operation == Operation::dispatch) {
    return phases == phase_recv && formats.algorithms.dispatch == DispatchAlgorithm::direct;
  }
  return phases == phase_send && !formats.logfmt && formats.algorithms.combine == CombineAlgorithm::pull;
}

/// Whether blocks of one rank wait for each other in such a launch.
bool waits_for_itself(Operation operation, const KernelFormats& formats) {
  if (operation == Operation::dispatch) return formats.algorithms.dispatch == DispatchAlgorithm::dedup;
  return formats.logfmt || formats.algorithms.combine != CombineAlgorithm::pull;
}

}  // namespace

int DeviceExchange::blocks_of(Operation operation, unsigned phases, bool fused) const {
  return only_flags(operation, phases, kernel_formats()) ? 1 : size_of(operation, phases, fused).blocks;
}

void DeviceExchange::start(const DevicePart& part, Operation operation, int ranks, bool fused,
                           Launch& arguments) const {
  const LaunchSize& size = size_of(operation, arguments.phases, fused);
  const KernelFormats formats = kernel_formats();
  const bool flags = only_flags(operation, arguments.phases, formats);
  arguments.blocks_per_rank = Divisor(flags ? 1 : size.blocks);
  arguments.own_tokens = size.own_tokens;
  const int span = operation == Operation::dispatch ? dispatch_span : combine_span;
  arguments.spans = Divisor((shape_.hidden + span - 1) / span);
  for (int r = 0; r < shape_.num_ranks; ++r) {
    Peer& peer = arguments.peer[r];
    peer.block_items = peer.tokens * int{arguments.spans} / int{arguments.blocks_per_rank};
  }
  Grid grid;
  grid.blocks_per_rank = arguments.blocks_per_rank;
  grid.ranks = ranks;
  grid.threads = flags ? warp_size : arguments.phases == phase_counts ? block_threads / 2 : block_threads;
  grid.shared_bytes = flags ? 0 : size.shared_bytes;
  grid.cooperative = fused && (ranks > 1 || waits_for_itself(operation, formats));
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

}  // namespace epskew::cuda
