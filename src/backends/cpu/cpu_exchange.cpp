#include "backends/cpu/cpu_exchange.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstring>
#include <numeric>

#include "exchange/kernels.hpp"
#include "backends/cpu/variants.hpp"
#include "epskew/exchange/number_formats.hpp"

namespace epskew::cpu {
namespace {

std::uint64_t flag_word(std::uint32_t epoch, std::int64_t count) {
  return std::uint64_t{epoch} << 32 | static_cast<std::uint32_t>(count);
}

std::uint32_t epoch_of(const Flag& flag) {
  return static_cast<std::uint32_t>(flag.word.load(std::memory_order_acquire) >> 32);
}

/// Rolling comparison: right as long as fewer than 2^31 operations lie between the two.
bool reached(std::uint32_t epoch, std::uint32_t wanted) {
  return static_cast<std::int32_t>(epoch - wanted) >= 0;
}

}  // namespace

SharedWorld::SharedWorld(const ExchangeShape& the_shape, const ExchangeOptions& the_options)
    : shape(the_shape),
      options(the_options),
      layout(make_arena_layout(the_shape, the_options)),
      control(the_shape, the_options) {
  for (int rank = 0; rank < shape.num_ranks; ++rank) arenas.emplace_back(layout.total_bytes);
}

CpuExchange::CpuExchange(SharedWorld& world, int rank)
    : world_(world),
      control_(world.control),
      rank_(rank),
      ranks_{rank},
      delays_(parse_variants(world.options).delay_us, rank),
      scratch_(row_bytes(world.options.dispatch, world.shape.hidden)),
      scale_scratch_(static_cast<std::size_t>(world.shape.num_scales())),
      scale_byte_scratch_(static_cast<std::size_t>(world.shape.num_scales())) {
  for (int i = 0; i < world.options.micro_batches; ++i) batches_.emplace_back(rank, world.shape);
}

ArenaView CpuExchange::arena(int rank, int batch) const {
  return {world_.arenas[static_cast<std::size_t>(rank)].data(), world_.layout, batch};
}

void CpuExchange::set_input(int /*local*/, int index, const RankInput& input) {
  batch(index).input = input;
}

void CpuExchange::dispatch_send(int index) {
  enter(Activity::dispatch_send, index);
  ++batch(index).epoch;
  publish_counts(index);
  gather_counts(index);
  send_tokens(index);
  raise_flags(FlagKind::dispatch, index);
  enter(Activity::outside, index);
}

void CpuExchange::dispatch_recv(int index) {
  enter(Activity::dispatch_recv, index);
  await_flags(FlagKind::dispatch, index);
  enter(Activity::outside, index);
}

void CpuExchange::combine_send(int index) {
  enter(Activity::combine_send, index);
  raise_flags(FlagKind::combine, index);
  enter(Activity::outside, index);
}

void CpuExchange::combine_recv(int index) {
  enter(Activity::combine_recv, index);
  await_flags(FlagKind::combine, index);
  reduce_tokens(index);
  enter(Activity::outside, index);
}

void CpuExchange::publish_counts(int index) {
  const Batch& current = batch(index);
  const int parity = static_cast<int>(current.epoch & 1u);
  delays_.pause();
  count_tokens(current.input.topk_idx, control_.counts(index, parity, rank_));
  control_.counts_flag(index, parity, rank_)
      .word.store(flag_word(current.epoch, 0), std::memory_order_release);
  control_.ring_all();
}

void CpuExchange::gather_counts(int index) {
  Batch& current = batch(index);
  const int parity = static_cast<int>(current.epoch & 1u);
  await_all([&](int source) {
    return reached(epoch_of(control_.counts_flag(index, parity, source)), current.epoch);
  });
  current.plan.begin();
  for (int source = 0; source < shape().num_ranks; ++source) {
    current.plan.add_source(source, control_.counts(index, parity, source));
  }
  current.plan.finish(current.input.topk_idx);
}

void CpuExchange::send_tokens(int index) {
  std::vector<ArenaView> arenas;
  for (int rank = 0; rank < shape().num_ranks; ++rank) arenas.push_back(arena(rank, index));
  delays_.pause();
  for (int token = 0; token < tokens(batch(index)); ++token) send_token(index, token, arenas);
  finish_streaming();
}

void CpuExchange::send_token(int index, int token, const std::vector<ArenaView>& arenas) {
  const Batch& current = batch(index);
  const auto hidden = static_cast<std::size_t>(shape().hidden);
  const BFloat16* x = current.input.x.data() + static_cast<std::size_t>(token) * hidden;
  const auto* payload = reinterpret_cast<const std::byte*>(x);
  const void* scales = scale_scratch_.data();
  if (is_fp8(options().dispatch)) {
    quantise_row(x, shape().hidden, options().dispatch != DispatchFormat::fp8,
                 reinterpret_cast<std::uint8_t*>(scratch_.data()), scale_scratch_.data());
    payload = scratch_.data();
  }
  if (options().dispatch == DispatchFormat::fp8_ue8m0) {
    std::transform(scale_scratch_.begin(), scale_scratch_.end(), scale_byte_scratch_.begin(), to_ue8m0);
    scales = scale_byte_scratch_.data();
  }
  const std::size_t bytes = scratch_.size();
  const std::size_t scales_bytes = scale_scratch_.size() * scale_bytes(options().dispatch);
  for (int k = 0; k < shape().topk; ++k) {
    const auto selection = static_cast<std::size_t>(token * shape().topk + k);
    if (current.plan.row_of_selection()[selection] < 0) continue;
    const auto row = static_cast<std::size_t>(current.plan.row_of_selection()[selection]);
    const int destination = current.input.topk_idx[selection] / shape().experts_per_rank();
    const ArenaView& to = arenas[static_cast<std::size_t>(destination)];
    stream_copy(payload, to.rows() + row * bytes, bytes);
    std::memcpy(to.scales() + row * scales_bytes, scales, scales_bytes);
    to.source_token()[row] = token;
  }
}

void CpuExchange::raise_flags(FlagKind kind, int index) {
  const Batch& current = batch(index);
  for (int peer = 0; peer < shape().num_ranks; ++peer) {
    delays_.pause();
    control_.flag(kind, index, peer, rank_)
        .word.store(flag_word(current.epoch, 0), std::memory_order_release);
  }
  control_.ring_all();
}

void CpuExchange::await_flags(FlagKind kind, int index) {
  const std::uint32_t epoch = batch(index).epoch;
  await_all([&](int source) { return reached(epoch_of(control_.flag(kind, index, rank_, source)), epoch); });
  delays_.pause();
}

void CpuExchange::reduce_tokens(int index) {
  const Batch& current = batch(index);
  const auto hidden = static_cast<std::size_t>(shape().hidden);
  std::vector<const BFloat16*> results;
  for (int rank = 0; rank < shape().num_ranks; ++rank) results.push_back(arena(rank, index).expert_output());
  BFloat16* const combined = arena(rank_, index).combined();
  std::vector<WeightedRow> rows;
  for (int token = 0; token < tokens(current); ++token) {
    rows.clear();
    for (int k = 0; k < shape().topk; ++k) {
      const auto selection = static_cast<std::size_t>(token * shape().topk + k);
      if (current.plan.row_of_selection()[selection] < 0) continue;
      const auto row = static_cast<std::size_t>(current.plan.row_of_selection()[selection]);
      const int host = current.input.topk_idx[selection] / shape().experts_per_rank();
      rows.push_back(
          {results[static_cast<std::size_t>(host)] + row * hidden, current.input.topk_weights[selection]});
    }
    reduce_rows(rows, shape().hidden, combined + static_cast<std::size_t>(token) * hidden);
  }
}

DispatchOutput CpuExchange::dispatch_output(int /*local*/, int index) {
  const Batch& current = batch(index);
  const ArenaView mine = arena(rank_, index);
  const auto rows = static_cast<std::size_t>(current.plan.expert_begin().back());
  const auto scales = rows * scale_scratch_.size();
  DispatchOutput output;
  output.format = options().dispatch;
  output.rows = {mine.rows(), rows * scratch_.size()};
  if (options().dispatch == DispatchFormat::fp8_ue8m0) {
    output.scale_bytes = {reinterpret_cast<const std::uint8_t*>(mine.scales()), scales};
  } else if (is_fp8(options().dispatch)) {
    output.scales = {reinterpret_cast<const float*>(mine.scales()), scales};
  }
  output.expert_begin = current.plan.expert_begin();
  output.source_range = current.plan.source_range();
  output.source_token = {mine.source_token(), rows};
  return output;
}

std::span<BFloat16> CpuExchange::expert_output(int /*local*/, int index) {
  const auto rows = static_cast<std::size_t>(batch(index).plan.expert_begin().back());
  return {arena(rank_, index).expert_output(), rows * static_cast<std::size_t>(shape().hidden)};
}

std::span<const BFloat16> CpuExchange::combine_output(int /*local*/, int index) {
  return {arena(rank_, index).combined(),
          static_cast<std::size_t>(tokens(batch(index))) * static_cast<std::size_t>(shape().hidden)};
}

void CpuExchange::align() {
  const Activity before = activity_;
  enter(Activity::align, 0);
  control_.rank(rank_).arrivals.store(++arrivals_, std::memory_order_release);
  control_.ring_all();
  await_all([&](int peer) {
    return reached(control_.rank(peer).arrivals.load(std::memory_order_acquire), arrivals_);
  });
  enter(before, 0);
}

std::int64_t CpuExchange::earliest(std::int64_t mine_ns) {
  // Nobody writes the next stamp before everyone has read this one: the next call lies behind the next
  // measure's align().
  control_.rank(rank_).stamp.store(mine_ns, std::memory_order_relaxed);
  align();
  std::int64_t first = mine_ns;
  for (int peer = 0; peer < shape().num_ranks; ++peer) {
    first = std::min(first, control_.rank(peer).stamp.load(std::memory_order_relaxed));
  }
  return first;
}

MemoryUse CpuExchange::memory(int /*local*/) const {
  const SharedMemory& mine = world_.arenas[static_cast<std::size_t>(rank_)];
  const std::int64_t ranks = shape().num_ranks;
  MemoryUse use;
  use.reserved =
      static_cast<std::int64_t>(mine.size()) + static_cast<std::int64_t>(control_.memory().size()) / ranks;
  use.touched = mine.touched() + control_.memory().touched() / ranks;
  return use;
}

void CpuExchange::enter(Activity activity, int index) {
  activity_ = activity;
  activity_batch_ = index;
  RankControl& mine = control_.rank(rank_);
  mine.batch.store(index, std::memory_order_relaxed);
  mine.activity.store(static_cast<std::uint32_t>(activity), std::memory_order_relaxed);
}

template <class Ready>
void CpuExchange::await_all(Ready&& ready) {
  std::vector<int> missing(static_cast<std::size_t>(shape().num_ranks));
  std::iota(missing.begin(), missing.end(), 0);
  Wait wait(control_.rank(rank_), control_.abort(), options().timeout);
  const WaitResult result = wait.until([&] {
    std::erase_if(missing, ready);
    return missing.empty();
  });
  if (result != WaitResult::ready) give_up(result, missing);
}

void CpuExchange::give_up(WaitResult result, const std::vector<int>& missing) const {
  const std::string what = fmt::format("rank {} waited for rank{} {} in {} of micro-batch {}", rank_,
                                       missing.size() == 1 ? "" : "s", fmt::join(missing, ", "),
                                       name_of(activity_), activity_batch_);
  if (result == WaitResult::aborted) throw RunAborted(what);
  throw RankLost(fmt::format("{} for more than {} ms", what, options().timeout.count()));
}

}  // namespace epskew::cpu
