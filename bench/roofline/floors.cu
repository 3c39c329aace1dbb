#include <algorithm>
#include <functional>
#include <limits>
#include <vector>

#include "backends/cuda/device.hpp"
#include "backends/cuda/formats.cuh"
#include "backends/cuda/kernels.hpp"
#include "backends/cuda/signal.cuh"
#include "roofline/floors.hpp"

namespace epskew::roofline {
namespace {

using cuda::check;
using cuda::DeviceMemory;
using cuda::Stamp;

constexpr int blocks = 264;
constexpr int threads = 512;
constexpr int repeats = 21;

__global__ void __launch_bounds__(threads, 2)
    copy_kernel(const uint4* in, uint4* out, std::size_t words, int rounds) {
  const std::size_t step = std::size_t{gridDim.x} * blockDim.x;
  for (int round = 0; round < rounds; ++round) {
    for (std::size_t i = blockIdx.x * std::size_t{blockDim.x} + threadIdx.x; i < words; i += 4 * step) {
      uint4 v[4];
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        if (i + j * step < words) v[j] = cuda::load_row(in + i + j * step);
      }
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        if (i + j * step < words) cuda::store_row(out + i + j * step, v[j]);
      }
    }
  }
}

__device__ void stamp_block(Stamp* stamps, std::uint64_t begin) {
  __syncthreads();
  if (stamps != nullptr && threadIdx.x == 0) stamps[blockIdx.x] = {begin, cuda::now_ns()};
}

__global__ void __launch_bounds__(threads, 2)
    read_kernel(const uint4* in, std::size_t words, std::uint32_t* sink, Stamp* stamps) {
  const std::uint64_t begin = cuda::now_ns();
  const std::size_t step = std::size_t{gridDim.x} * blockDim.x;
  std::uint32_t seen = 0;
  for (std::size_t i = blockIdx.x * std::size_t{blockDim.x} + threadIdx.x; i < words; i += 8 * step) {
    uint4 v[8];
#pragma unroll
    for (int j = 0; j < 8; ++j)
      v[j] = i + j * step < words ? cuda::load_row(in + i + j * step) : make_uint4(0, 0, 0, 0);
#pragma unroll
    for (int j = 0; j < 8; ++j) seen |= v[j].x | v[j].y | v[j].z | v[j].w;
  }
  if (seen == 0x12345678u) *sink = seen;
  stamp_block(stamps, begin);
}

__global__ void __launch_bounds__(threads, 2)
    write_kernel(uint4* out, std::size_t words, int rounds, Stamp* stamps) {
  const std::uint64_t begin = cuda::now_ns();
  const std::size_t step = std::size_t{gridDim.x} * blockDim.x;
  for (int round = 0; round < rounds; ++round) {
    for (std::size_t i = blockIdx.x * std::size_t{blockDim.x} + threadIdx.x; i < words; i += step) {
      cuda::store_row(out + i, make_uint4(static_cast<unsigned>(i), 1, 2, 3));
    }
  }
  stamp_block(stamps, begin);
}

/// One warp casts 256 channels: what dispatch does to a token, written once instead of top-k times.
__global__ void __launch_bounds__(threads, 2)
    cast_kernel(const uint4* in, uint2* out, float* scales, int spans, Stamp* stamps) {
  const std::uint64_t begin = cuda::now_ns();
  const int warps = static_cast<int>(gridDim.x * blockDim.x) / cuda::warp_size;
  const int lane = threadIdx.x % cuda::warp_size;
  for (int span = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x) / cuda::warp_size; span < spans;
       span += warps) {
    const uint4 values = cuda::load_input(in + span * cuda::warp_size + lane);
    const cuda::Scale scale = cuda::scale_for(cuda::group_amax(values), false);
    out[span * cuda::warp_size + lane] = cuda::quantise(values, scale.multiplier);
    if (lane % 16 == 0) scales[2 * span + lane / 16] = scale.stored;
  }
  stamp_block(stamps, begin);
}

/// Rounds of "every rank tells every rank", one block a rank, all resident.
__global__ void flag_kernel(std::uint64_t* flags, int rounds, std::uint64_t base, Stamp* stamps) {
  const int ranks = static_cast<int>(gridDim.x);
  const std::uint64_t begin = cuda::now_ns();
  for (int round = 1; round <= rounds; ++round) {
    __syncthreads();
    if (static_cast<int>(threadIdx.x) < ranks) {
      cuda::add_flag(flags + (threadIdx.x * ranks + blockIdx.x) * 16, 1, false);
      while (cuda::load_flag(flags + (blockIdx.x * ranks + threadIdx.x) * 16, false) < base + round) {
      }
    }
    __syncthreads();
  }
  stamp_block(stamps, begin);
}

__global__ void empty_kernel() {}

double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + values.size() / 2, values.end());
  return values[values.size() / 2];
}

class Bench {
 public:
  Bench() : a_(std::size_t{1} << 30), b_(std::size_t{1} << 30), stamps_(sizeof(Stamp) * blocks) {
    check(cudaEventCreate(&begin_), "cudaEventCreate");
    check(cudaEventCreate(&end_), "cudaEventCreate");
    check(cudaMemset(a_.data(), 0, a_.size()), "cudaMemset");
    check(cudaMemset(b_.data(), 0, b_.size()), "cudaMemset");
  }
  Bench(const Bench&) = delete;
  Bench& operator=(const Bench&) = delete;
  ~Bench() {
    cudaEventDestroy(begin_);
    cudaEventDestroy(end_);
  }

  uint4* a() const { return reinterpret_cast<uint4*>(a_.data()); }
  uint4* b() const { return reinterpret_cast<uint4*>(b_.data()); }
  Stamp* stamps() const { return reinterpret_cast<Stamp*>(stamps_.data()); }

  /// Microseconds between two events around `launch`.
  double events(const std::function<void()>& launch) const {
    std::vector<double> times;
    for (int i = 0; i < repeats; ++i) {
      check(cudaEventRecord(begin_, nullptr), "cudaEventRecord");
      launch();
      check(cudaEventRecord(end_, nullptr), "cudaEventRecord");
      check(cudaDeviceSynchronize(), "kernel");
      float ms = 0;
      check(cudaEventElapsedTime(&ms, begin_, end_), "cudaEventElapsedTime");
      times.push_back(1e3 * ms);
    }
    return median(times);
  }
  /// Microseconds from the first block's begin to the last block's end, L2 cold.
  double inside(int grid, const std::function<void()>& launch) const {
    std::vector<double> times;
    for (int i = 0; i < repeats; ++i) {
      check(cuda::flush_cache(b_.data(), std::size_t{256} << 20, nullptr), "flush");
      launch();
      std::vector<Stamp> stamps(static_cast<std::size_t>(grid));
      check(cudaMemcpy(stamps.data(), stamps_.data(), stamps.size() * sizeof(Stamp), cudaMemcpyDeviceToHost),
            "cudaMemcpy");
      std::uint64_t first = std::numeric_limits<std::uint64_t>::max();
      std::uint64_t last = 0;
      for (const Stamp& s : stamps) {
        first = std::min(first, s.begin);
        last = std::max(last, s.end);
      }
      times.push_back(static_cast<double>(last - first) / 1e3);
    }
    return median(times);
  }

 private:
  DeviceMemory a_;
  DeviceMemory b_;
  DeviceMemory stamps_;
  cudaEvent_t begin_ = nullptr;
  cudaEvent_t end_ = nullptr;
};

double flag_round(const Bench& bench, int ranks) {
  constexpr int rounds = 100;
  DeviceMemory flags(static_cast<std::size_t>(ranks * ranks) * 128);
  check(cudaMemset(flags.data(), 0, flags.size()), "cudaMemset");
  std::uint64_t base = 0;
  const double us = bench.inside(ranks, [&] {
    auto* words = reinterpret_cast<std::uint64_t*>(flags.data());
    Stamp* stamps = bench.stamps();
    int count = rounds;
    void* arguments[] = {&words, &count, &base, &stamps};
    check(cudaLaunchCooperativeKernel(flag_kernel, dim3(static_cast<unsigned>(ranks)), dim3(32), arguments, 0,
                                      nullptr),
          "cudaLaunchCooperativeKernel");
    base += rounds;
  });
  return us / rounds;
}

}  // namespace

Floors measure_floors() {
  const Bench bench;
  Floors floors;
  const std::size_t large = (std::size_t{1} << 30) / sizeof(uint4);
  const std::size_t small = (std::size_t{8} << 20) / sizeof(uint4);
  constexpr int rounds = 200;
  const auto tbps = [](double bytes, double us) { return bytes / us / 1e6; };
  const double gib = 1 << 30;
  const double l2_bytes = 8.0 * (1 << 20) * rounds;
  floors.hbm_copy_tbps =
      tbps(2 * gib, bench.events([&] { copy_kernel<<<blocks, threads>>>(bench.a(), bench.b(), large, 1); }));
  floors.hbm_read_tbps = tbps(gib, bench.events([&] {
    read_kernel<<<blocks, threads>>>(bench.a(), large, reinterpret_cast<std::uint32_t*>(bench.b()), nullptr);
  }));
  floors.hbm_write_tbps =
      tbps(gib, bench.events([&] { write_kernel<<<blocks, threads>>>(bench.b(), large, 1, nullptr); }));
  floors.l2_copy_tbps =
      tbps(2 * l2_bytes,
           bench.events([&] { copy_kernel<<<blocks, threads>>>(bench.a(), bench.b(), small, rounds); }));
  floors.l2_write_tbps = tbps(
      l2_bytes, bench.events([&] { write_kernel<<<blocks, threads>>>(bench.b(), small, rounds, nullptr); }));
  check(cudaMemset(bench.b(), 0, gib), "cudaMemset");  // the flush reads zeros
  const std::size_t combine_words = std::size_t{128} * 8 * 14336 / sizeof(uint4);
  const std::size_t dispatch_words = std::size_t{128} * 8 * 7392 / sizeof(uint4);
  floors.small_read_us = bench.inside(blocks, [&] {
    read_kernel<<<blocks, threads>>>(bench.a(), combine_words,
                                     reinterpret_cast<std::uint32_t*>(bench.stamps()), bench.stamps());
  });
  floors.small_write_us = bench.inside(
      blocks, [&] { write_kernel<<<blocks, threads>>>(bench.a(), dispatch_words, 1, bench.stamps()); });
  const int spans = 128 * 7168 / 256;
  floors.cast_us = bench.inside(blocks, [&] {
    cast_kernel<<<blocks, threads>>>(bench.a(), reinterpret_cast<uint2*>(bench.a() + (1 << 24)),
                                     reinterpret_cast<float*>(bench.a() + (1 << 25)), spans, bench.stamps());
  });
  const int ranks[] = {2, 8, 16};
  for (int i = 0; i < 3; ++i) floors.flag_round_us[i] = flag_round(bench, ranks[i]);
  floors.launch_us = bench.events([] { empty_kernel<<<1, 32>>>(); });
  floors.launch_next_us = (bench.events([] {
                            for (int i = 0; i < 101; ++i) empty_kernel<<<1, 32>>>();
                          }) -
                           floors.launch_us) /
                          100;
  return floors;
}

}  // namespace epskew::roofline
