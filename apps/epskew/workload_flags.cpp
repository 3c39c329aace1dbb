#include "workload_flags.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>
#include <limits>
#include <string_view>

#include "epskew/support/error.hpp"
#include "epskew/support/launcher.hpp"
#include "epskew/support/memory.hpp"
#include "epskew/trace/matrix_file.hpp"
#include "epskew/workload/law_file.hpp"
#include "epskew/workload/model_shapes.hpp"

namespace epskew::app {
namespace {

constexpr std::int64_t default_ranks = 8;
constexpr std::int64_t default_tokens = 128;
constexpr int default_hidden = 7168;
constexpr int default_topk = 8;
constexpr int default_experts = 288;
constexpr int scale_channels = 128;
/// Ranks and experts above these are typing errors: no machine and no model comes near.
constexpr std::int64_t max_ranks = 1 << 16;
constexpr std::int64_t max_experts = 1 << 20;

std::string model_names() {
  std::vector<std::string_view> names;
  for (const ModelShape& model : model_shapes()) names.push_back(model.name);
  return fmt::format("{}", fmt::join(names, ", "));
}

ModelShape base_shape(const WorkloadFlags& flags) {
  if (flags.model.empty()) return {"", 0, default_experts, default_topk, default_hidden, 1, 1};
  const auto model = find_model(flags.model);
  if (!model)
    throw UsageError(
        fmt::format("--model {} is unknown (no such shape); known: {}", flags.model, model_names()));
  return *model;
}

int checked(std::int64_t value, std::int64_t low, std::int64_t high, const char* flag) {
  if (value < low || value > high) {
    throw UsageError(fmt::format("{} {} is out of range ({} to {} are possible); choose a number in it", flag,
                                 value, low, high));
  }
  return static_cast<int>(value);
}

int hidden_of(const WorkloadFlags& flags) {
  return checked(flags.hidden.value_or(base_shape(flags).hidden), 1, 1 << 20, "--hidden");
}

std::vector<std::int32_t> tokens_of(const WorkloadFlags& flags) {
  constexpr std::int64_t most = std::numeric_limits<std::int32_t>::max();
  const auto& each = flags.num_tokens_per_rank;
  if (each.empty()) {
    const int ranks = checked(flags.num_processes.value_or(default_ranks), 1, max_ranks, "--num-processes");
    const int tokens = checked(flags.num_tokens.value_or(default_tokens), 0, most, "--num-tokens");
    return std::vector<std::int32_t>(static_cast<std::size_t>(ranks), tokens);
  }
  if (flags.num_tokens)
    throw UsageError(
        "--num-tokens and --num-tokens-per-rank are both given (they contradict each other); drop one");
  const auto count = static_cast<std::int64_t>(each.size());
  if (flags.num_processes.value_or(count) != count) {
    throw UsageError(
        fmt::format("--num-tokens-per-rank has {} numbers (--num-processes is {}); give one a rank", count,
                    *flags.num_processes));
  }
  checked(count, 1, max_ranks, "the length of --num-tokens-per-rank");
  std::vector<std::int32_t> tokens;
  for (const std::int64_t number : each) tokens.push_back(checked(number, 0, most, "--num-tokens-per-rank"));
  return tokens;
}

void check_experts(const Shape& shape) {
  if (shape.num_experts % shape.num_ranks() != 0) {
    throw UsageError(
        fmt::format("--num-experts {} does not divide among {} ranks (each owns the same number); choose a "
                    "multiple of {}",
                    shape.num_experts, shape.num_ranks(), shape.num_ranks()));
  }
  if (shape.topk > shape.num_experts) {
    throw UsageError(
        fmt::format("--num-topk {} is more than --num-experts {} (the experts of a token are distinct); "
                    "choose at most {}",
                    shape.topk, shape.num_experts, shape.num_experts));
  }
}

void check_memory(const Shape& shape) {
  double tokens = 0;
  for (const std::int32_t count : shape.tokens_per_rank) tokens += count;
  constexpr double entry_bytes = sizeof(std::int32_t) + sizeof(float);
  require_memory(tokens * shape.topk * entry_bytes,
                 fmt::format("a routing of {:.0f} tokens, top-{}", tokens, shape.topk),
                 "choose fewer tokens or ranks");
}

/// The enumerator whose name is `text`.
template <class Enum>
Enum choose(const char* flag, std::string_view text,
            std::initializer_list<std::pair<std::string_view, Enum>> choices) {
  std::vector<std::string_view> names;
  for (const auto& [name, value] : choices) {
    if (name == text) return value;
    names.push_back(name);
  }
  throw UsageError(
      fmt::format("{} {} is unknown (no such choice); known: {}", flag, text, fmt::join(names, ", ")));
}

LawLevel level_of(const WorkloadFlags& flags) {
  return choose<LawLevel>("--law-level", flags.law_level.value_or("rank"),
                          {{"rank", LawLevel::rank}, {"expert", LawLevel::expert}});
}

void set_law(const WorkloadFlags& flags, WorkloadSpec& spec) {
  spec.level = level_of(flags);
  const std::string distribution = flags.distribution.value_or("lognormal");
  const auto family = find_family(distribution);
  if (!family) {
    throw UsageError(fmt::format("--distribution {} is unknown (no such family); known: {}", distribution,
                                 family_names()));
  }
  spec.family = *family;
  if (flags.law.empty()) return;
  if (flags.distribution)
    throw UsageError("--law and --distribution are both given (the law has its own family); drop one");
  apply_law(read_law(flags.law), spec);
  if (flags.law_level && spec.level != level_of(flags)) {
    throw UsageError(
        fmt::format("--law-level {} contradicts {} (that law was fitted to the other level); drop the flag",
                    *flags.law_level, flags.law));
  }
}

void set_pattern(const WorkloadFlags& flags, WorkloadSpec& spec) {
  constexpr std::int64_t most = std::numeric_limits<std::int32_t>::max();
  spec.pattern = choose<Pattern>("--pattern", flags.pattern,
                                 {{"none", Pattern::none},
                                  {"hot-rank", Pattern::hot_rank},
                                  {"k-hot", Pattern::k_hot},
                                  {"rotating", Pattern::rotating},
                                  {"burst", Pattern::burst},
                                  {"matrix", Pattern::matrix},
                                  {"skew-in-nodes", Pattern::skew_in_nodes},
                                  {"skew-across-nodes", Pattern::skew_across_nodes}});
  if (spec.pattern == Pattern::k_hot) {  // the default of 32 is too many for a small shape of another pattern
    spec.hot_experts = checked(flags.hot_experts, 1, spec.num_experts, "--hot-experts");
  }
  spec.hot_fraction = flags.hot_fraction;
  if (!(flags.hot_fraction >= 0 && flags.hot_fraction <= 1)) {
    throw UsageError(
        fmt::format("--hot-fraction {} is out of range (a share from 0 to 1); choose a number in it",
                    flags.hot_fraction));
  }
  spec.step = checked(flags.step, 0, most, "--step");
  spec.burst_period = checked(flags.burst_period, 1, most, "--burst-period");
  if ((spec.pattern == Pattern::matrix) == flags.matrix.empty()) {
    throw UsageError(
        "--pattern matrix and --matrix FILE go together (one is given alone); give both or none");
  }
  if (!flags.matrix.empty()) spec.matrix = read_matrix(flags.matrix, spec.num_ranks());
  if (spec.pattern != Pattern::none && !flags.law.empty()) {
    throw UsageError("--pattern and --law are both given (each decides the loads); drop one");
  }
}

void set_placement(const WorkloadFlags& flags, WorkloadSpec& spec) {
  if (!flags.placement) return;
  if (spec.level != LawLevel::expert) {
    throw UsageError(
        "--placement needs --law-level expert (a law over ranks says the loads of ranks itself); add it or "
        "drop the placement");
  }
  spec.placement = placement_of(flags, spec.num_experts, spec.num_ranks());
}

}  // namespace

void add_workload_flags(CLI::App& command, WorkloadFlags& flags) {
  const auto add = [&command](const char* name, auto& value, const char* help) {
    return command.add_option(name, value, help);
  };
  add("--model", flags.model, "shape of a published model, e.g. deepseek-v3; other flags override it");
  add("--num-processes", flags.num_processes, "ranks [8]");
  add("--num-tokens", flags.num_tokens, "tokens of every rank [128]");
  add("--num-tokens-per-rank", flags.num_tokens_per_rank, "tokens of each rank, a,b,c,…; zero allowed")
      ->delimiter(',');
  add("--hidden", flags.hidden, "hidden size, a multiple of 128 [7168]");
  add("--num-topk", flags.num_topk, "experts of a token [8]");
  add("--num-experts", flags.num_experts, "experts, a multiple of the ranks [288]");
  add("--num-groups", flags.num_groups, "expert groups of group-limited top-k [1 = off]");
  add("--num-topk-groups", flags.num_topk_groups, "groups a token may touch [1]");
  add("--distribution", flags.distribution,
      "family of the loads: uniform, lognormal, gamma, powerlaw, weibull, exprank [lognormal]");
  add("--law", flags.law, "law file written by fit, instead of a family");
  add("--law-level", flags.law_level, "what the law is about: rank or expert [rank]");
  add("--imbalance-level", flags.imbalance_level,
      "what the imbalance factor is exact over: rank, or node (its ranks are then equal)")
      ->capture_default_str();
  add("--ranks-per-node", flags.ranks_per_node,
      "consecutive ranks that share a node, for loads by node [as many as mpirun started on this one]");
  add("--placement", flags.placement,
      "where experts live: contiguous, spread, random or a placement file [contiguous]");
  add("--sampling", flags.sampling, "exact, or multinomial as DeepEP #393 draws")->capture_default_str();
  add("--num-masked", flags.num_masked, "selections of every rank set to -1")->capture_default_str();
  add("--hot-rank", flags.hot_rank, "the rank with the largest load [chosen by the seed]");
  add("--pattern", flags.pattern,
      "none, hot-rank, k-hot, rotating, burst, matrix, skew-in-nodes or skew-across-nodes")
      ->capture_default_str();
  add("--hot-experts", flags.hot_experts, "k-hot: how many experts are hot")->capture_default_str();
  add("--hot-fraction", flags.hot_fraction, "k-hot: share of the selections they receive")
      ->capture_default_str();
  add("--step", flags.step, "rotating, burst: the step that is made")->capture_default_str();
  add("--burst-period", flags.burst_period, "burst: every n-th step is hot")->capture_default_str();
  add("--matrix", flags.matrix,
      "matrix: CSV or .npy of selections, a row a source rank, a column a destination rank");
  add("--seed", flags.seed, "the same seed gives the same routing everywhere")->capture_default_str();
}

Shape shape_of(const WorkloadFlags& flags) {
  const ModelShape base = base_shape(flags);
  Shape shape;
  shape.tokens_per_rank = tokens_of(flags);
  shape.num_experts = checked(flags.num_experts.value_or(base.num_experts), 1, max_experts, "--num-experts");
  shape.topk = checked(flags.num_topk.value_or(base.topk), 1, max_experts, "--num-topk");
  shape.hidden = hidden_of(flags);
  shape.num_groups = checked(flags.num_groups.value_or(base.num_groups), 1, max_experts, "--num-groups");
  shape.topk_groups =
      checked(flags.num_topk_groups.value_or(base.topk_groups), 1, max_experts, "--num-topk-groups");
  check_experts(shape);
  check_memory(shape);
  return shape;
}

int checked_hidden(const WorkloadFlags& flags) {
  const int hidden = hidden_of(flags);
  if (hidden % scale_channels != 0) {
    throw UsageError(
        fmt::format("--hidden {} is not a multiple of {} (channels that share an FP8 scale); choose {}",
                    hidden, scale_channels, (hidden / scale_channels + 1) * scale_channels));
  }
  return hidden;
}

Placement placement_of(const WorkloadFlags& flags, int num_experts, int num_ranks) {
  const std::string name = flags.placement.value_or("contiguous");
  if (name == "contiguous") return contiguous_placement(num_experts);
  if (name == "spread") return spread_placement(num_experts, num_ranks);
  if (name == "random") return random_placement(num_experts, flags.seed);
  return read_placement(name, num_experts);
}

int ranks_per_node_of(const WorkloadFlags& flags, int num_ranks) {
  if (flags.ranks_per_node) return checked(*flags.ranks_per_node, 1, num_ranks, "--ranks-per-node");
  const auto process = launched_process();
  const int started = process ? process->ranks_per_node.value_or(0) : 0;
  return started > 0 && num_ranks % started == 0 ? started : 0;
}

WorkloadSpec to_spec(const WorkloadFlags& flags, std::optional<double> factor) {
  const Shape shape = shape_of(flags);
  if (factor && !(*factor >= 1 && std::isfinite(*factor))) {
    throw UsageError(fmt::format(
        "imbalance factor {} is impossible (the largest load is at least the mean); choose 1 or more",
        *factor));
  }
  WorkloadSpec spec;
  spec.tokens_per_rank = shape.tokens_per_rank;
  spec.num_experts = shape.num_experts;
  spec.topk = shape.topk;
  spec.num_groups = shape.num_groups;
  spec.topk_groups = shape.topk_groups;
  spec.factor = factor;
  spec.seed = flags.seed;
  spec.num_masked = checked(flags.num_masked, 0, std::numeric_limits<std::int32_t>::max(), "--num-masked");
  spec.sampling = choose<Sampling>("--sampling", flags.sampling,
                                   {{"exact", Sampling::exact}, {"multinomial", Sampling::multinomial}});
  if (flags.hot_rank) spec.hot_rank = checked(*flags.hot_rank, 0, shape.num_ranks() - 1, "--hot-rank");
  spec.imbalance_level =
      choose<ImbalanceLevel>("--imbalance-level", flags.imbalance_level,
                             {{"rank", ImbalanceLevel::rank}, {"node", ImbalanceLevel::node}});
  spec.ranks_per_node = ranks_per_node_of(flags, shape.num_ranks());
  set_law(flags, spec);
  set_pattern(flags, spec);
  set_placement(flags, spec);
  return spec;
}

}  // namespace epskew::app
