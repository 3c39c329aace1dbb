#include "machine_rates.hpp"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <thread>

#include "exchange/kernels.hpp"

namespace epskew {
namespace {

constexpr std::size_t bytes = 64u << 20;  ///< of a buffer: no cache holds it
constexpr std::size_t store_block = 8192;
constexpr std::size_t load_ahead = 4096;
constexpr int tokens = 1000;
constexpr int repeats = 7;

}  // namespace

double seconds_of(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

Rates between(const Rates& a, const Rates& b) {
  return {(a.copy + b.copy) / 2, (a.load + b.load) / 2, (a.store + b.store) / 2, (a.cast + b.cast) / 2,
          (a.reduce + b.reduce) / 2};
}

Machine::Machine(int threads, const ExchangeShape& shape) : threads_(threads), shape_(shape) {
  for (int i = 0; i < 2 * threads; ++i) {
    buffers_.emplace_back(bytes, cpu::Pages::large);
    std::memset(buffers_.back().data(), 1, bytes);
  }
}

Rates Machine::measure() {
  const double all_bytes = static_cast<double>(bytes) * threads_;
  const double all_tokens = static_cast<double>(tokens) * threads_;
  Rates rates;
  rates.copy = 2 * all_bytes / seconds([this](std::size_t i) { copy(i); });
  rates.load = all_bytes / seconds([this](std::size_t i) { load(i); });
  rates.store = all_bytes / seconds([this](std::size_t i) { store(i); });
  rates.cast = all_tokens / seconds([this](std::size_t i) { cast(i); });
  rates.reduce = all_tokens / seconds([this](std::size_t i) { reduce(i); });
  return rates;
}

/// Median of several runs of `work(thread)` on all cores at once.
double Machine::seconds(const std::function<void(std::size_t)>& work) const {
  std::vector<double> runs;
  for (int repeat = 0; repeat < repeats; ++repeat) {
    runs.push_back(seconds_of([&] {
      std::vector<std::thread> workers;
      for (int i = 0; i < threads_; ++i) workers.emplace_back(work, static_cast<std::size_t>(i));
      for (std::thread& worker : workers) worker.join();
    }));
  }
  return median(runs);
}

const BFloat16* Machine::values(std::size_t thread) const {
  return reinterpret_cast<const BFloat16*>(buffers_[2 * thread].data());
}

void Machine::copy(std::size_t thread) {
  stream_copy(buffers_[2 * thread].data(), buffers_[2 * thread + 1].data(), bytes);
  finish_streaming();
}

/// Asks ahead as combine does; without it the core's own prefetchers read more slowly.
void Machine::load(std::size_t thread) const {
  const std::byte* const from = buffers_[2 * thread].data();
  std::uint64_t sum = 0;
  for (std::size_t line = 0; line < bytes; line += 64) {
    __builtin_prefetch(from + line + load_ahead, 0, 2);
    std::uint64_t words[8];
    std::memcpy(words, from + line, sizeof words);
    for (const std::uint64_t word : words) sum += word;
  }
  volatile std::uint64_t used = sum;
  (void)used;
}

/// One block in cache, to every place.
void Machine::store(std::size_t thread) {
  std::byte* const to = buffers_[2 * thread + 1].data();
  for (std::size_t i = 0; i < bytes; i += store_block) {
    stream_copy(buffers_[2 * thread].data(), to + i, store_block);
  }
  finish_streaming();
}

void Machine::cast(std::size_t thread) const {
  std::vector<std::uint8_t> codes(static_cast<std::size_t>(shape_.hidden));
  std::vector<float> scales(static_cast<std::size_t>(shape_.num_scales()));
  for (int token = 0; token < tokens; ++token) {
    quantise_row(values(thread), shape_.hidden, false, codes.data(), scales.data());
  }
}

void Machine::reduce(std::size_t thread) const {
  const auto columns = static_cast<std::size_t>(shape_.hidden);
  std::vector<WeightedRow> rows;
  for (std::size_t k = 0; k < static_cast<std::size_t>(shape_.topk); ++k) {
    rows.push_back({values(thread) + k * columns, 0.5f});
  }
  std::vector<BFloat16> out(columns);
  for (int token = 0; token < tokens; ++token) reduce_rows(rows, shape_.hidden, out.data());
}

}  // namespace epskew
