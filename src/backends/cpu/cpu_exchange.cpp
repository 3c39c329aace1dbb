#include "backends/cpu/cpu_exchange.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <numeric>

#include "backends/cpu/rank_list.hpp"
#include "exchange/kernels.hpp"

namespace epskew::cpu {
namespace {

/// With shrink, so many timeouts in a row for the same ranks end the run all the same: the parent found
/// nothing wrong.
constexpr int patience = 4;

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
      variants(parse_variants(the_options)),
      layout(make_arena_layout(the_shape, the_options, variants)),
      control(the_shape, the_options) {
  for (int rank = 0; rank < shape.num_ranks; ++rank) arenas.emplace_back(layout.total_bytes, variants.pages);
}

SharedWorld::SharedWorld(const ExchangeShape& the_shape, const ExchangeOptions& the_options,
                         Control the_control, std::vector<SharedMemory> the_arenas)
    : shape(the_shape),
      options(the_options),
      variants(parse_variants(the_options)),
      layout(make_arena_layout(the_shape, the_options, variants)),
      control(std::move(the_control)),
      arenas(std::move(the_arenas)) {}

CpuExchange::CpuExchange(SharedWorld& world, int rank)
    : world_(world),
      control_(world.control),
      rank_(rank),
      ranks_{rank},
      dispatch_(make_dispatch(world.shape, world.options, world.variants)),
      combine_(make_combine(world.shape, world.options, world.variants)),
      copied_output_(static_cast<std::size_t>(world.options.micro_batches)),
      expert_rows_(static_cast<std::size_t>(world.shape.experts_per_rank())),
      dispatch_wait_us_(static_cast<std::size_t>(world.shape.num_ranks)),
      combine_wait_us_(static_cast<std::size_t>(world.shape.num_ranks)),
      delays_(world.variants.delay_us, rank) {
  for (int batch = 0; batch < world.options.micro_batches; ++batch) {
    Operation& made = operations_.emplace_back(rank, world.shape, world.options, world.variants);
    for (const SharedMemory& arena : world.arenas)
      made.arenas.emplace_back(arena.data(), world.layout, batch);
  }
}

void CpuExchange::set_input(int /*local*/, int batch, const RankInput& input) {
  const auto selections = input.topk_idx.size();
  EPSKEW_EXPECT(selections % static_cast<std::size_t>(shape().topk) == 0);
  EPSKEW_EXPECT(selections / static_cast<std::size_t>(shape().topk) <=
                static_cast<std::size_t>(shape().max_tokens));
  EPSKEW_EXPECT(input.topk_weights.size() == selections);
  EPSKEW_EXPECT(input.x.size() * static_cast<std::size_t>(shape().topk) ==
                selections * static_cast<std::size_t>(shape().hidden));
  operation(batch).input = input;
}

void CpuExchange::dispatch_send(int batch) {
  enter(Activity::dispatch_send, batch);
  Operation& current = operation(batch);
  ++current.epoch;
  std::fill(current.lost.begin(), current.lost.end(), std::uint8_t{0});
  publish_counts(batch);
  gather_counts(batch);
  delays_.pause();
  dispatch_->send(current);
  finish_streaming();
  raise_flags(FlagKind::dispatch, batch);
  enter(Activity::outside, batch);
}

void CpuExchange::dispatch_recv(int batch) {
  enter(Activity::dispatch_recv, batch);
  await_flags(FlagKind::dispatch, batch, dispatch_wait_us_);
  Operation& current = operation(batch);
  for (int source = 0; source < shape().num_ranks; ++source) {
    if (current.lost[static_cast<std::size_t>(source)] != 0) current.plan.drop_source(source);
  }
  dispatch_->receive(current);
  // Not by the begins of the experts' segments: rows of a lost source are gaps in them.
  const std::span<const RowRange> ranges = current.plan.source_range();
  for (std::size_t i = 0; i < ranges.size(); ++i) {
    expert_rows_[i / static_cast<std::size_t>(shape().num_ranks)] += ranges[i].count;
  }
  enter(Activity::outside, batch);
}

void CpuExchange::combine_send(int batch) {
  enter(Activity::combine_send, batch);
  if (world_.variants.expert_output == ExpertOutput::copied) copy_expert_output(batch);
  combine_->send(operation(batch));
  raise_flags(FlagKind::combine, batch);
  enter(Activity::outside, batch);
}

void CpuExchange::combine_recv(int batch) {
  enter(Activity::combine_recv, batch);
  await_flags(FlagKind::combine, batch, combine_wait_us_);
  combine_->receive(operation(batch));
  enter(Activity::outside, batch);
}

void CpuExchange::publish_counts(int batch) {
  const Operation& current = operation(batch);
  const int parity = static_cast<int>(current.epoch & 1u);
  delays_.pause();
  count_tokens(current.input.topk_idx, shape(), control_.counts(batch, parity, rank_));
  control_.counts_flag(batch, parity, rank_)
      .word.store(flag_word(current.epoch, 0), std::memory_order_release);
  control_.ring_all();
}

void CpuExchange::gather_counts(int batch) {
  Operation& current = operation(batch);
  const int parity = static_cast<int>(current.epoch & 1u);
  const auto published = [&](int source) {
    return reached(epoch_of(control_.counts_flag(batch, parity, source)), current.epoch);
  };
  await_all(published);
  current.plan.begin();
  for (int source = 0; source < shape().num_ranks; ++source) {
    // A lost rank is dead: whether it got as far as publishing looks the same to everyone.
    if (published(source)) {
      current.plan.add_source(source, control_.counts(batch, parity, source));
    } else {
      current.lost[static_cast<std::size_t>(source)] = 1;
    }
  }
  current.plan.finish(current.input.topk_idx);
}

void CpuExchange::raise_flags(FlagKind kind, int batch) {
  const std::uint32_t epoch = operation(batch).epoch;
  for (int peer = 0; peer < shape().num_ranks; ++peer) {
    delays_.pause();
    control_.flag(kind, batch, peer, rank_).word.store(flag_word(epoch, 0), std::memory_order_release);
  }
  control_.ring_all();
}

void CpuExchange::await_flags(FlagKind kind, int batch, std::vector<double>& waits) {
  Operation& current = operation(batch);
  const auto start = Wait::Clock::now();
  const auto raised = [&](int source) {
    return reached(epoch_of(control_.flag(kind, batch, rank_, source)), current.epoch);
  };
  await_all([&](int source) {
    if (!raised(source)) return false;
    waits[static_cast<std::size_t>(source)] +=
        std::chrono::duration<double, std::micro>(Wait::Clock::now() - start).count();
    return true;
  });
  for (int source = 0; source < shape().num_ranks; ++source) {
    if (!raised(source)) current.lost[static_cast<std::size_t>(source)] = 1;
  }
  delays_.pause();
}

void CpuExchange::copy_expert_output(int batch) {
  const auto& results = copied_output_[static_cast<std::size_t>(batch)];
  stream_copy(reinterpret_cast<const std::byte*>(results.data()),
              reinterpret_cast<std::byte*>(operation(batch).mine().expert_output()),
              results.size() * sizeof(BFloat16));
  finish_streaming();
}

DispatchOutput CpuExchange::dispatch_output(int /*local*/, int batch) {
  const Operation& current = operation(batch);
  DispatchOutput output;
  output.format = options().dispatch;
  output.expert_begin = current.plan.expert_begin();
  output.source_range = current.plan.source_range();
  dispatch_->describe(current, output);
  return output;
}

std::span<BFloat16> CpuExchange::expert_output(int /*local*/, int batch) {
  const Operation& current = operation(batch);
  const auto size = static_cast<std::size_t>(current.plan.num_rows()) * current.hidden();
  if (world_.variants.expert_output == ExpertOutput::in_place) return {current.mine().expert_output(), size};
  auto& results = copied_output_[static_cast<std::size_t>(batch)];
  results.resize(size);
  return results;
}

std::span<const BFloat16> CpuExchange::combine_output(int /*local*/, int batch) {
  const Operation& current = operation(batch);
  return {current.mine().combined(), static_cast<std::size_t>(current.num_tokens()) * current.hidden()};
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
  // align().
  control_.rank(rank_).stamp.store(mine_ns, std::memory_order_relaxed);
  align();
  std::int64_t first = mine_ns;
  for (int peer = 0; peer < shape().num_ranks; ++peer) {
    if (!is_lost(peer)) first = std::min(first, control_.rank(peer).stamp.load(std::memory_order_relaxed));
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

ReceiveStatistics CpuExchange::statistics(int /*local*/) const {
  return {expert_rows_, dispatch_wait_us_, combine_wait_us_};
}

std::span<const std::uint8_t> CpuExchange::lost_ranks(int /*local*/, int batch) const {
  return operations_[static_cast<std::size_t>(batch)].lost;
}

void CpuExchange::enter(Activity activity, int batch) {
  activity_ = activity;
  activity_batch_ = batch;
  RankControl& mine = control_.rank(rank_);
  mine.batch.store(batch, std::memory_order_relaxed);
  mine.activity.store(static_cast<std::uint32_t>(activity), std::memory_order_relaxed);
  mine.progress.fetch_add(1, std::memory_order_relaxed);
}

template <class Ready>
void CpuExchange::await_all(Ready&& ready) {
  RankControl& mine = control_.rank(rank_);
  std::vector<int> missing(static_cast<std::size_t>(shape().num_ranks));
  std::iota(missing.begin(), missing.end(), 0);
  const auto settled = [&](int rank) {
    if (ready(rank)) return true;
    if (!is_lost(rank)) return false;
    if (!ready(rank)) note_lost(rank);  // it is dead now, so what it left is final
    return true;
  };
  mine.waiting.store(1, std::memory_order_relaxed);
  Wait wait(mine, control_.abort(), options().timeout);
  for (int attempt = 1;; ++attempt) {
    const WaitResult result = wait.until([&] {
      std::erase_if(missing, settled);
      return missing.empty();
    });
    if (result == WaitResult::ready) break;
    const bool ask = options().shrink && result == WaitResult::timed_out && attempt < patience;
    if (!ask) give_up(result, missing);
    for (const int rank : missing) control_.rank(rank).suspected.store(1, std::memory_order_relaxed);
  }
  mine.progress.fetch_add(1, std::memory_order_relaxed);
  mine.waiting.store(0, std::memory_order_relaxed);
}

void CpuExchange::note_lost(int rank) {
  auto& word = control_.rank(rank_).waited_in_vain[static_cast<std::size_t>(rank / 64)];
  word.fetch_or(std::uint64_t{1} << rank % 64, std::memory_order_relaxed);
}

void CpuExchange::give_up(WaitResult result, const std::vector<int>& missing) const {
  const std::string what = fmt::format("rank {} waited for {} in {} of micro-batch {}", rank_,
                                       name_ranks(missing), name_of(activity_), activity_batch_);
  if (result == WaitResult::aborted) throw RunAborted(what);
  throw RankLost(fmt::format("{} for more than {} ms", what, options().timeout.count()));
}

}  // namespace epskew::cpu
