#include "backends/cuda/plan.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "backends/cuda/choice.hpp"
#include "epskew/support/error.hpp"

namespace epskew::cuda {
namespace {

int parse_number(const std::string& name, const std::string& value, int low, int high) {
  int number = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
  if (error != std::errc{} || end != value.data() + value.size() || number < low || number > high) {
    throw UsageError(
        fmt::format("variant {}={} is not understood (a whole number from {} to {} is expected); correct it",
                    name, value, low, high));
  }
  return number;
}

Driver parse_driver(const std::string& value) {
  if (value == "auto") return Driver::automatic;
  if (value == "fused") return Driver::fused;
  if (value == "lockstep") return Driver::lockstep;
  throw UsageError(fmt::format(
      "variant driver={} is unknown (the cuda backend has auto, fused and lockstep); choose one", value));
}

std::optional<DispatchAlgorithm> parse_dispatch(const std::string& value) {
  if (value == "auto") return std::nullopt;
  for (const auto algorithm : {DispatchAlgorithm::direct, DispatchAlgorithm::dedup}) {
    if (value == name_of(algorithm)) return algorithm;
  }
  throw UsageError(fmt::format(
      "variant dispatch={} is unknown (the cuda backend has auto, direct and dedup); choose one", value));
}

std::optional<CombineAlgorithm> parse_combine(const std::string& value) {
  if (value == "auto") return std::nullopt;
  for (const auto algorithm : {CombineAlgorithm::pull, CombineAlgorithm::push, CombineAlgorithm::prereduce}) {
    if (value == name_of(algorithm)) return algorithm;
  }
  throw UsageError(fmt::format(
      "variant combine={} is unknown (the cuda backend has auto, pull, push and prereduce); choose one",
      value));
}

std::vector<int> parse_devices(const std::string& value) {
  std::vector<int> devices;
  for (std::size_t begin = 0; begin <= value.size();) {
    const std::size_t end = std::min(value.find(',', begin), value.size());
    devices.push_back(parse_number("devices", value.substr(begin, end - begin), 0, 1023));
    begin = end + 1;
  }
  return devices;
}

/// True for `yes`, false for `no`.
bool parse_choice(const std::string& name, const std::string& value, const char* yes, const char* no) {
  if (value != yes && value != no) {
    throw UsageError(fmt::format("variant {}={} is unknown (the cuda backend has {} and {}); choose one",
                                 name, value, yes, no));
  }
  return value == yes;
}

/// Tokens that a block can touch when `spans` items a token are split over `blocks` blocks.
int own_tokens(const ExchangeShape& shape, int blocks, int span) {
  const long spans = (shape.hidden + span - 1) / span;
  const long items = (shape.max_tokens * spans + blocks - 1) / blocks;
  return static_cast<int>(std::min<long>((items + spans - 2) / spans + 1, shape.max_tokens));
}

LaunchSize dispatch_size(const ExchangeShape& shape, int blocks, bool headers) {
  const int own = own_tokens(shape, blocks, dispatch_span);
  return {blocks, own, dispatch_shared_bytes(shape, own, headers)};
}

LaunchSize combine_size(const ExchangeShape& shape, int blocks) {
  const int own = own_tokens(shape, blocks, combine_span);
  return {blocks, own, combine_shared_bytes(shape, own)};
}

/// Each block numbers about four tokens and publishes its part of the counts.
LaunchSize counts_size(const ExchangeShape& shape, int most_blocks, bool headers) {
  const int blocks = std::clamp(shape.max_tokens / 4, std::min(shape.num_ranks, most_blocks), most_blocks);
  const int own = (shape.max_tokens + blocks - 1) / blocks;
  return {blocks, own, dispatch_shared_bytes(shape, own, headers)};
}

void require_shared(std::size_t bytes, const DeviceLimits& limits) {
  const std::size_t reserved = 1024;  // of every resident block
  if (bytes <= limits.shared_bytes_per_block &&
      blocks_per_sm * (bytes + reserved) <= limits.shared_bytes_per_multiprocessor) {
    return;
  }
  throw UsageError(
      fmt::format("the shape needs {} bytes of shared memory a block (the device has {} for {} blocks); use "
                  "fewer experts or tokens",
                  bytes, limits.shared_bytes_per_multiprocessor, blocks_per_sm));
}

}  // namespace

Settings parse_settings(const ExchangeOptions& options) {
  Settings settings;
  for (const auto& [name, value] : options.variants) {
    if (name == "driver") {
      settings.driver = parse_driver(value);
    } else if (name == "devices") {
      settings.devices = parse_devices(value);
    } else if (name == "graph") {
      settings.graph = parse_choice(name, value, "on", "off");
    } else if (name == "blocks") {
      settings.blocks = parse_number(name, value, 1, 1 << 16);
    } else if (name == "delay_ns") {
      settings.delay_max_ns = static_cast<std::uint32_t>(parse_number(name, value, 0, 1'000'000'000));
    } else if (name == "dispatch") {
      settings.dispatch = parse_dispatch(value);
    } else if (name == "combine") {
      settings.combine = parse_combine(value);
    } else {
      throw UsageError(
          fmt::format("variant {} is unknown (the cuda backend has driver, devices, graph, blocks, delay_ns, "
                      "dispatch and combine); leave it out",
                      name));
    }
  }
  settings.links = std::any_of(settings.devices.begin(), settings.devices.end(),
                               [&](int device) { return device != settings.devices.front(); });
  std::vector<int> sorted = settings.devices;
  std::sort(sorted.begin(), sorted.end());
  const bool repeated = std::adjacent_find(sorted.begin(), sorted.end()) != sorted.end();
  if (options.combine == CombineFormat::logfmt10 &&
      settings.combine.value_or(CombineAlgorithm::pull) != CombineAlgorithm::pull) {
    throw UsageError(
        "--use-logfmt goes with variant combine=pull only (coded rows are read where they are); drop one");
  }
  if (repeated && settings.driver != Driver::lockstep) {
    throw UsageError(
        "variant devices names a GPU twice (its launches need not be resident at once); add driver=lockstep");
  }
  return settings;
}

std::size_t dispatch_shared_bytes(const ExchangeShape& shape, int own_tokens, bool headers) {
  const auto experts = static_cast<std::size_t>(shape.num_experts);
  const auto own = static_cast<std::size_t>(own_tokens) * static_cast<std::size_t>(shape.topk);
  const std::size_t messages = headers ? own + 2 * static_cast<std::size_t>(shape.num_ranks) : 0;
  return sizeof(int) * (5 * experts + 2 * own + messages);
}

std::size_t combine_shared_bytes(const ExchangeShape& shape, int own_tokens) {
  const int places = shape.topk <= rows_in_flight ? rows_in_flight : max_topk;
  const std::size_t contributions =
      16 * static_cast<std::size_t>(own_tokens) * static_cast<std::size_t>(places);
  return std::max(contributions, sizeof(int) * (static_cast<std::size_t>(shape.num_ranks) + 1));
}

Plan make_plan(const ExchangeShape& shape, const ExchangeOptions& options, const Settings& settings,
               const DeviceLimits& limits) {
  if (shape.num_ranks > max_ranks) {
    throw UsageError(
        fmt::format("--num-processes {} is too many for --backend cuda (its peer table holds {}); use fewer",
                    shape.num_ranks, max_ranks));
  }
  const int resident = blocks_per_sm * limits.multiprocessors;
  const int devices = static_cast<int>(settings.devices.size());
  if (devices > shape.num_ranks) {
    throw UsageError(fmt::format("{} devices are too many for {} ranks (a device needs a rank); name fewer",
                                 devices, shape.num_ranks));
  }
  Plan plan;
  plan.algorithms = choose_algorithms(shape, options, settings);
  // Direct dispatch is bound by latency and stores: one block a multiprocessor starts sooner, and its kernel
  // is made for that. Copying messages and combining want loads in flight.
  const bool dedup = plan.algorithms.dispatch == DispatchAlgorithm::dedup;
  const int together = dedup ? resident : limits.multiprocessors;
  const int ranks_of_device = settings.own_ranks.value_or((shape.num_ranks + devices - 1) / devices);
  if (ranks_of_device > together) {
    throw UsageError(fmt::format("{} ranks do not fit on one GPU at once ({} blocks are resident); use fewer",
                                 ranks_of_device, together));
  }
  const int cap = settings.blocks != 0 ? std::min(settings.blocks, resident) : resident;
  const int for_dispatch = std::min(cap, together);
  const auto a_rank = [&](int blocks) { return std::max(blocks / ranks_of_device, 1); };
  const bool headers = plan.algorithms.headers();
  plan.fused_dispatch = dispatch_size(shape, a_rank(for_dispatch), headers);
  plan.fused_combine = combine_size(shape, a_rank(cap));
  plan.lockstep_dispatch = dispatch_size(shape, for_dispatch, headers);
  plan.lockstep_combine = combine_size(shape, cap);
  plan.lockstep_counts = counts_size(shape, for_dispatch, headers);
  for (const LaunchSize* size : {&plan.fused_dispatch, &plan.fused_combine, &plan.lockstep_counts,
                                 &plan.lockstep_dispatch, &plan.lockstep_combine}) {
    require_shared(size->shared_bytes, limits);
  }
  if (shape.max_rows() >= 1l << row_bits) {
    throw UsageError(
        fmt::format("{} rows a rank are too many for --backend cuda (it numbers 2^{}); use fewer tokens",
                    shape.max_rows(), row_bits));
  }
  if (shape.max_tokens >= 1 << return_token_bits) {
    throw UsageError(
        fmt::format("{} tokens a rank are too many for --backend cuda (it numbers 2^{}); use fewer tokens",
                    shape.max_tokens, return_token_bits));
  }
  const std::uint64_t needed =
      ArenaLayout(shape, options, plan.algorithms).bytes() * static_cast<std::uint64_t>(ranks_of_device);
  if (limits.memory_bytes != 0 && needed > limits.memory_bytes) {
    throw UsageError(fmt::format(
        "{} rank(s) on a GPU need {:.1f} GB of its memory ({:.1f} GB are free for them); use fewer tokens, "
        "ranks or experts a token",
        ranks_of_device, static_cast<double>(needed) / 1e9, static_cast<double>(limits.memory_bytes) / 1e9));
  }
  return plan;
}

}  // namespace epskew::cuda
