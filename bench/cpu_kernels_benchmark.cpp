// The loops of the CPU exchange alone, on one core, with the best and with the AVX2 instruction set.
// Rates count bytes of input for cast and reduce, bytes written for copies.

#include <benchmark/benchmark.h>
#include <hwy/targets.h>

#include <cstddef>
#include <cstring>
#include <vector>

#include "backends/cpu/shared_memory.hpp"
#include "epskew/support/random.hpp"
#include "exchange/kernels.hpp"

namespace epskew::cpu {
namespace {

constexpr int hidden = 7168;
constexpr std::size_t row_size = hidden * sizeof(BFloat16);
constexpr std::size_t large = 256u << 20;  // several times any last-level cache share

void use_target(std::int64_t target) {
  hwy::SetSupportedTargetsForTest(target);
  hwy::GetChosenTarget().Update(hwy::SupportedTargets());
}

std::vector<BFloat16> random_rows(std::size_t count) {
  RandomStream random(1, 1);
  std::vector<BFloat16> x(count * hidden);
  for (BFloat16& value : x) value = to_bfloat16(static_cast<float>(random.next_u32() >> 8) * 0x1p-24f - 0.5f);
  return x;
}

/// One token after the other from a 64-token batch, as dispatch_send does.
void cast_tokens(benchmark::State& state) {
  use_target(state.range(0));
  constexpr std::size_t tokens = 64;
  const auto x = random_rows(tokens);
  std::vector<std::uint8_t> codes(hidden);
  std::vector<float> scales(hidden / 128);
  std::size_t token = 0;
  for (auto _ : state) {
    quantise_row(x.data() + token++ % tokens * hidden, hidden, false, codes.data(), scales.data());
    benchmark::DoNotOptimize(codes.data());
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(row_size) * state.iterations());
  state.SetLabel(instruction_set());
  use_target(0);
}

/// Top-8 reduction; range(1): rows that the inputs cycle through (8 stay in L2, 4096 come from memory).
void reduce_top8(benchmark::State& state) {
  use_target(state.range(0));
  const auto count = static_cast<std::size_t>(state.range(1));
  const auto x = random_rows(count);
  std::vector<BFloat16> out(hidden);
  std::vector<WeightedRow> rows(8);
  std::size_t next = 0;
  for (auto _ : state) {
    for (WeightedRow& row : rows) row = {x.data() + (next++ * 911) % count * hidden, 0.125f};
    reduce_rows(rows, hidden, out.data());
    benchmark::DoNotOptimize(out.data());
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(8 * row_size) * state.iterations());
  state.SetLabel(instruction_set());
  use_target(0);
}

/// A cached token written to ever new rows of shared memory: dispatch without the cast.
void copy_from_cache(benchmark::State& state) {
  SharedMemory memory(large);
  const std::vector<std::byte> token(hidden);
  std::size_t offset = 0;
  for (auto _ : state) {
    stream_copy(token.data(), memory.data() + offset, hidden);
    offset = offset + 2 * hidden > large ? 0 : offset + hidden;
  }
  finish_streaming();
  state.SetBytesProcessed(hidden * state.iterations());
}

/// Memory to memory: the copy rate that floors are computed from.
void copy_memory(benchmark::State& state) {
  SharedMemory from(large);
  SharedMemory to(large);
  stream_copy(from.data(), to.data(), large);
  for (auto _ : state) stream_copy(from.data(), to.data(), large);
  finish_streaming();
  state.SetBytesProcessed(static_cast<std::int64_t>(large) * state.iterations());
}

void read_memory(benchmark::State& state) {
  SharedMemory from(large);
  std::memset(from.data(), 1, large);
  for (auto _ : state) {
    const auto* words = reinterpret_cast<const std::uint64_t*>(from.data());
    std::uint64_t sum[8] = {};
    for (std::size_t i = 0; i < large / 8; i += 8) {
      for (std::size_t j = 0; j < 8; ++j) sum[j] += words[i + j];
    }
    benchmark::DoNotOptimize(sum);
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(large) * state.iterations());
}

void targets_of_this_machine(benchmark::internal::Benchmark* bench) {
  for (const std::int64_t target : hwy::SupportedAndGeneratedTargets()) {
    if (target == HWY_AVX3 || target == HWY_AVX2) bench->Args({target});
  }
}
void targets_and_rows(benchmark::internal::Benchmark* bench) {
  for (const std::int64_t target : hwy::SupportedAndGeneratedTargets()) {
    if (target != HWY_AVX3 && target != HWY_AVX2) continue;
    for (const std::int64_t rows : {8, 4096}) bench->Args({target, rows});
  }
}

BENCHMARK(cast_tokens)->Apply(targets_of_this_machine);
BENCHMARK(reduce_top8)->Apply(targets_and_rows);
BENCHMARK(copy_from_cache);
BENCHMARK(copy_memory)->Unit(benchmark::kMillisecond);
BENCHMARK(read_memory)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace epskew::cpu

BENCHMARK_MAIN();
