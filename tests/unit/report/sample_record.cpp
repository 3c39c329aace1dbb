#include "unit/report/sample_record.hpp"

namespace epskew::test {
namespace {

LoadMetrics load_of(std::int64_t first, std::int64_t second) {
  LoadMetrics load;
  load.loads = {first, second};
  load.max = std::max(first, second);
  load.min = std::min(first, second);
  load.mean = load.median = static_cast<double>(first + second) / 2;
  load.std = static_cast<double>(load.max - load.min) / 2;
  load.factor = static_cast<double>(load.max) / load.mean;
  load.balancedness = 1 / load.factor;
  load.max_vio = load.factor - 1;
  load.cv = load.std / load.mean;
  load.gini = load.cv / 2;
  load.entropy = 0.875;
  load.hot = first >= second ? 0 : 1;
  return load;
}

PhaseRecord phase_of(double fast, double slow) {
  PhaseRecord phase;
  phase.samples_us = {2, {fast, slow, fast + 1, slow + 1, fast + 2, slow + 2, fast + 3, slow + 3}};
  phase.slowest_rank = {slow + 1.5, slow, slow + 3, slow + 1.5, {}, {}};
  phase.hot_rank = phase.slowest_rank;
  phase.per_rank = {{fast + 1.5, slow + 1.5}, {fast, slow}, {fast + 3, slow + 3}};
  phase.over_ranks = {(fast + slow) / 2 + 1.5, fast + 1.5, slow + 1.5};
  phase.times_slowest = {0, 4};
  return phase;
}

RoundRecord round_of(const char* label, std::optional<double> factor, std::int64_t first,
                     std::int64_t second) {
  RoundRecord round;
  round.label = label;
  round.target_factor = factor;
  round.workload = {factor ? "lognormal" : "uniform", {}, 7, "0123456789abcdef0123456789abcdef", 2.0, 1.125};
  if (factor) round.workload.parameters["sigma"] = 0.5;
  round.load.rank = round.load.message = load_of(first, second);
  round.load.expert = measure_loads(std::vector{first / 2, first - first / 2, second / 4, second - second / 4});
  round.load.selections = {first / 2, second / 2, first - first / 2, second - second / 2};
  round.load.messages = round.load.selections;
  round.load.hot_over_others = static_cast<double>(second) / static_cast<double>(first);
  round.load.hottest_destination = round.load.rank.hot;
  round.oracle = {"passed", "passed"};
  const double time = static_cast<double>(second);
  for (const Phase phase : {Phase::dispatch, Phase::combine, Phase::dispatch_combine}) {
    round.timing[static_cast<std::size_t>(phase)] = phase_of(10, time);
  }
  round.kernel_timing[static_cast<std::size_t>(Phase::dispatch)] = phase_of(5, time / 2);
  round.bandwidth.wire_basis = {{"dispatch", "selections"}, {"combine", "messages"}};
  round.bandwidth.send_logical["dispatch"] = {1000, 0.5};
  round.bandwidth.hot_receive["dispatch"] = {2000, std::nullopt};
  round.bandwidth.wire["dispatch"] = {500, 0.25};
  round.memory = MemoryRecord{{4096, 4096}, {1024, 2048}, {512, 512}};
  round.link_model = {
      {"dispatch", {9000, 0.02}}, {"combine", {18000, 0.04}}, {"dispatch_combine", {27000, 0.06}}};
  round.misalignment = MisalignmentRecord{{2, {0, 0.25, 0.5, 0}}, {0.375, 0.25, 0.5, {}, {}, {}}};
  return round;
}

}  // namespace

Record sample_record() {
  Record record;
  record.tool.version = "9.9.9";
  record.command = "bench";
  record.argv = {"epskew", "bench", "--num-processes", "2"};
  record.created = "2026-01-02T03:04:05Z";
  record.host = {"box", "Linux 6.1 x86_64", 1 << 30};
  record.cpu = {"A CPU", 2, 32 << 20};
  record.libraries["fmt"] = "9.1.0";
  record.build = {"g++ 12.2.0", "-O2", "Release", std::nullopt};
  record.config = {.num_ranks = 2,
                   .num_experts = 4,
                   .topk = 2,
                   .hidden = 128,
                   .max_tokens = 16,
                   .tokens_per_rank = {16, 16},
                   .dispatch_format = "fp8",
                   .combine_format = "bf16",
                   .backend = "cpu",
                   .variants = {{"dispatch", "direct"}},
                   .backend_facts = {"hwloc: 2.9.0"},
                   .micro_batches = 1,
                   .timeout_ms = 30000,
                   .iterations = 4,
                   .warmup = 1,
                   .flush_cache = true,
                   .flush_bytes = 1 << 20,
                   .clock = {"steady_clock", 20},
                   .distribution = "lognormal",
                   .imbalance_factors = {1.0, 1.5},
                   .num_masked = 0,
                   .ranks_per_node = 1,
                   .seed = 7,
                   .trace = std::nullopt};
  record.emulation = EmulationRecord{1, 2};
  record.link_assumption = LinkAssumptionRecord{450, "a datasheet"};
  record.rounds = {round_of("uniform", std::nullopt, 30, 34), round_of("1.0", 1.0, 32, 32),
                   round_of("1.5", 1.5, 16, 48)};
  record.rounds[2].cost_of_imbalance = CostRecord{1.5, 1.25, 1.75, "1.0", {{"dispatch", {1.5, 1.25, 1.75}}}};
  return record;
}

}  // namespace epskew::test
