#include "workload_flags.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>
#include <limits>
#include <string_view>

#include "epskew/support/error.hpp"
#include "epskew/support/launcher.hpp"
#include "epskew/trace/matrix_file.hpp"
#include "epskew/workload/law_file.hpp"
#include "epskew/workload/model_shapes.hpp"
#include "epskew/workload/pattern.hpp"
#include "epskew/workload/spec_check.hpp"

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

int checked(std::int64_t value, std::int64_t low, std::int64_t high, const char* flag) {
  if (value < low || value > high) {
    throw UsageError(fmt::format("{} {} is out of range ({} to {} are possible); choose a number in it", flag,
                                 value, low, high));
  }
  return static_cast<int>(value);
}

int hidden_of(const WorkloadFlags& flags) {
  return checked(flags.hidden.value_or(model_of(flags).hidden), 1, 1 << 20, "--hidden");
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
  if (spec.sampling == Sampling::multinomial && flags.law_level && spec.level == LawLevel::rank) {
    throw UsageError(
        "--law-level rank and --sampling multinomial are both given (the draw is of experts); drop one");
  }
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

Pattern pattern_of(const WorkloadFlags& flags) {
  const auto pattern = find_pattern(flags.pattern);
  if (!pattern) {
    throw UsageError(
        fmt::format("--pattern {} is unknown (no such choice); known: {}", flags.pattern, pattern_names()));
  }
  return *pattern;
}

void set_pattern(const WorkloadFlags& flags, WorkloadSpec& spec) {
  constexpr std::int64_t most = std::numeric_limits<std::int32_t>::max();
  spec.pattern = pattern_of(flags);
  if (spec.pattern == Pattern::k_hot) {  // the default of 32 is too many for a small shape of another pattern
    spec.hot_experts =
        checked(flags.hot_experts.value_or(spec.hot_experts), 1, spec.num_experts, "--hot-experts");
  }
  spec.hot_fraction = flags.hot_fraction.value_or(spec.hot_fraction);
  if (!(spec.hot_fraction >= 0 && spec.hot_fraction <= 1)) {
    throw UsageError(fmt::format(
        "--hot-fraction {} is out of range (a share from 0 to 1); choose a number in it", spec.hot_fraction));
  }
  spec.step = checked(flags.step.value_or(spec.step), 0, most, "--step");
  spec.burst_period = checked(flags.burst_period.value_or(spec.burst_period), 1, most, "--burst-period");
  if (!flags.matrix.empty()) spec.matrix = read_matrix(flags.matrix, spec.num_ranks());
}

void refuse_both(bool given, const char* flag, const std::string& other, const char* why) {
  if (given) throw UsageError(fmt::format("{} and {} are both given ({}); drop one", flag, other, why));
}

void refuse_without(bool given, const char* flag, const char* partner) {
  if (given)
    throw UsageError(
        fmt::format("{} is given without {} (it has no effect then); add that or drop it", flag, partner));
}

/// A flag without effect is a mistake: whoever gives it expects one.
void check_pattern_flags(const WorkloadFlags& flags) {
  const Pattern pattern = pattern_of(flags);
  const std::string named = "--pattern " + flags.pattern;
  if (pattern != Pattern::none) {
    constexpr const char* why = "each decides the loads";
    refuse_both(flags.distribution.has_value(), "--distribution", named, why);
    refuse_both(!flags.law.empty(), "--law", named, why);
    refuse_both(flags.law_level.has_value(), "--law-level", named, why);
    refuse_both(flags.sampling != "exact", "--sampling", named, why);
    refuse_both(flags.hot_rank && !takes_factor(pattern), "--hot-rank", named,
                "the pattern decides which rank is hot");
  }
  refuse_without(flags.hot_experts && pattern != Pattern::k_hot, "--hot-experts", "--pattern k-hot");
  refuse_without(flags.hot_fraction && pattern != Pattern::k_hot, "--hot-fraction", "--pattern k-hot");
  refuse_without(flags.step && !has_steps(pattern), "--step", "--pattern rotating or burst");
  refuse_without(flags.burst_period && pattern != Pattern::burst, "--burst-period", "--pattern burst");
  if ((pattern == Pattern::matrix) == flags.matrix.empty()) {
    throw UsageError(
        "--pattern matrix and --matrix FILE go together (one is given alone); give both or none");
  }
}

void set_placement(const WorkloadFlags& flags, WorkloadSpec& spec) {
  if (!flags.placement) return;
  const bool experts_have_loads = spec.pattern == Pattern::k_hot || spec.level == LawLevel::expert ||
                                  spec.sampling == Sampling::multinomial;
  if (!experts_have_loads || (spec.pattern != Pattern::none && spec.pattern != Pattern::k_hot)) {
    throw UsageError(
        "--placement needs loads of experts (--law-level expert, --pattern k-hot or --sampling multinomial; "
        "otherwise the loads of ranks are what is asked for); add one of them or drop it");
  }
  spec.placement = placement_of(flags, spec.num_experts, spec.num_ranks());
}

/// 10 on every rank, as DeepEP's test masks; none where that would leave a rank with tokens nothing to send.
int default_masked(const WorkloadSpec& spec) {
  constexpr int usual = 10;
  const auto too_few = [&](std::int64_t tokens) { return tokens > 0 && tokens * spec.topk <= usual; };
  return std::any_of(spec.tokens_per_rank.begin(), spec.tokens_per_rank.end(), too_few) ? 0 : usual;
}

/// Entries that are not there cannot be masked. A rank without tokens has none and is left as it is.
void check_masked(const WorkloadSpec& spec) {
  for (int rank = 0; rank < spec.num_ranks(); ++rank) {
    const std::int64_t tokens = spec.tokens_per_rank[static_cast<std::size_t>(rank)];
    if (tokens == 0 || spec.num_masked <= tokens * spec.topk) continue;
    throw UsageError(
        fmt::format("--num-masked {} is more than rank {} has (top-{} of {} tokens are {} entries); choose 0 "
                    "to {}",
                    spec.num_masked, rank, spec.topk, tokens, tokens * spec.topk, tokens * spec.topk));
  }
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
      "where experts live whose loads are given (--law-level expert, k-hot, multinomial, a trace): "
      "contiguous, spread, random or a placement file [random; a trace: contiguous]");
  add("--sampling", flags.sampling, "exact, or multinomial as DeepEP #393 draws")->capture_default_str();
  add("--num-masked", flags.num_masked, "selections of every rank set to -1 [10; 0 if a rank has no more]");
  add("--hot-rank", flags.hot_rank, "the rank with the largest load [chosen by the seed]");
  add("--pattern", flags.pattern,
      "none, hot-rank, k-hot, rotating, burst, matrix, skew-in-nodes or skew-across-nodes")
      ->capture_default_str();
  add("--hot-experts", flags.hot_experts, "k-hot: how many experts are hot [32]");
  add("--hot-fraction", flags.hot_fraction, "k-hot: share of the selections they receive [0.9]");
  add("--step", flags.step, "rotating, burst: the first step that is made [0]");
  add("--burst-period", flags.burst_period, "burst: every n-th step is hot [8]");
  add("--matrix", flags.matrix,
      "matrix: CSV or .npy of selections, a row a source rank, a column a destination rank");
  add_seed(command, flags.seed, "the same seed gives the same routing everywhere");
}

CLI::Option* add_seed(CLI::App& command, std::uint64_t& seed, const char* help) {
  return command.add_option("--seed", seed, help)->capture_default_str();
}

ModelShape model_of(const WorkloadFlags& flags) {
  if (flags.model.empty()) return {"", 0, default_experts, default_topk, default_hidden, 1, 1};
  const auto model = find_model(flags.model);
  if (!model)
    throw UsageError(
        fmt::format("--model {} is unknown (no such shape); known: {}", flags.model, model_names()));
  return *model;
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

int topk_of(const WorkloadFlags& flags) {
  return checked(flags.num_topk.value_or(model_of(flags).topk), 1, max_experts, "--num-topk");
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
  if (name == "spread") {
    if (num_experts % num_ranks != 0) {
      throw UsageError(
          fmt::format("--placement spread needs experts that divide among the ranks ({} experts, {} ranks); "
                      "choose other ranks",
                      num_experts, num_ranks));
    }
    return spread_placement(num_experts, num_ranks);
  }
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
  if (factor && !(*factor >= 1 && std::isfinite(*factor))) {
    throw UsageError(fmt::format(
        "imbalance factor {} is impossible (the largest load is at least the mean); choose 1 or more",
        *factor));
  }
  check_pattern_flags(flags);
  const ModelShape model = model_of(flags);
  const auto count = [](const std::optional<std::int64_t>& flag, int otherwise, const char* name) {
    return checked(flag.value_or(otherwise), 1, max_experts, name);
  };
  WorkloadSpec spec;
  spec.tokens_per_rank = tokens_of(flags);
  spec.num_experts = count(flags.num_experts, model.num_experts, "--num-experts");
  spec.topk = topk_of(flags);
  spec.num_groups = count(flags.num_groups, model.num_groups, "--num-groups");
  spec.topk_groups = count(flags.num_topk_groups, model.topk_groups, "--num-topk-groups");
  spec.factor = factor;
  spec.seed = flags.seed;
  spec.num_masked = checked(flags.num_masked.value_or(default_masked(spec)), 0,
                            std::numeric_limits<std::int32_t>::max(), "--num-masked");
  if (flags.hot_rank) spec.hot_rank = checked(*flags.hot_rank, 0, spec.num_ranks() - 1, "--hot-rank");
  check_shape(spec);
  check_masked(spec);
  spec.sampling = choose<Sampling>("--sampling", flags.sampling,
                                   {{"exact", Sampling::exact}, {"multinomial", Sampling::multinomial}});
  spec.imbalance_level =
      choose<ImbalanceLevel>("--imbalance-level", flags.imbalance_level,
                             {{"rank", ImbalanceLevel::rank}, {"node", ImbalanceLevel::node}});
  spec.ranks_per_node = ranks_per_node_of(flags, spec.num_ranks());
  set_law(flags, spec);
  set_pattern(flags, spec);
  set_placement(flags, spec);
  return spec;
}

void refuse_unused_law_flags(const WorkloadFlags& flags, bool has_factor) {
  if (has_factor || !flags.law.empty() || flags.pattern != "none") return;
  constexpr const char* partner = "--imbalance-factor, --law or --pattern";
  refuse_without(flags.distribution.has_value(), "--distribution", partner);
  refuse_without(flags.law_level.has_value(), "--law-level", partner);
  refuse_without(flags.sampling != "exact", "--sampling", partner);
  refuse_without(flags.imbalance_level != "rank", "--imbalance-level", partner);
  refuse_without(flags.placement.has_value(), "--placement", partner);
  refuse_without(flags.hot_rank.has_value(), "--hot-rank", partner);
}

}  // namespace epskew::app
