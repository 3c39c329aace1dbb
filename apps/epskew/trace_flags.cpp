#include "trace_flags.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "epskew/support/error.hpp"

namespace epskew::app {
namespace {

int parse_integer(const char* flag, std::string_view text) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 0) {
    throw UsageError(
        fmt::format("{} has {:?} (a number or \"all\" was expected); correct it", flag, std::string(text)));
  }
  return value;
}

std::vector<int> layers_of(const std::optional<std::string>& flag) {
  std::vector<int> layers;
  if (!flag || *flag == "all") return layers;
  std::string_view text = *flag;
  while (true) {
    const std::size_t comma = text.find(',');
    layers.push_back(parse_integer("--layers", text.substr(0, comma)));
    if (comma == std::string_view::npos) return layers;
    text.remove_prefix(comma + 1);
  }
}

std::optional<ArrayContent> array_content_of(const std::string& text) {
  if (text.empty()) return std::nullopt;
  if (text == "counts") return ArrayContent::counts;
  if (text == "ids") return ArrayContent::ids;
  throw UsageError(fmt::format("--npy {} is unknown (no such content); known: counts, ids", text));
}

std::optional<int> windows_of(const TraceFlags& flags) {
  if (!flags.windows) return std::nullopt;
  if (*flags.windows == "all") return all_windows;
  const int windows = parse_integer("--windows", *flags.windows);
  if (windows == 0)
    throw UsageError("--windows 0 replays nothing (no round is left); choose 1 or more, or all");
  return windows;
}

Deal deal_of(const TraceFlags& flags) {
  const std::string name = flags.deal.value_or("contiguous");
  if (name == "contiguous") return Deal::contiguous;
  if (name == "round-robin") return Deal::round_robin;
  throw UsageError(
      fmt::format("--deal {} is unknown (no such way to deal tokens); known: contiguous, round-robin", name));
}

/// What the user says about the model, by flag or --model; unset where the recording decides.
std::optional<int> stated(const std::optional<std::int64_t>& flag, const WorkloadFlags& workload,
                          int ModelShape::*field) {
  if (flag) return static_cast<int>(std::clamp<std::int64_t>(*flag, INT32_MIN, INT32_MAX));
  if (workload.model.empty()) return std::nullopt;
  return model_of(workload).*field;
}

void refuse_generator_flags(const WorkloadFlags& workload) {
  const auto refuse = [](bool is_set, const char* flag) {
    if (is_set)
      throw UsageError(fmt::format(
          "{} and --trace are both given (the recording decides who goes where); drop one", flag));
  };
  refuse(workload.distribution.has_value(), "--distribution");
  refuse(!workload.law.empty(), "--law");
  refuse(workload.law_level.has_value(), "--law-level");
  refuse(workload.pattern != "none", "--pattern");
  refuse(workload.hot_rank.has_value(), "--hot-rank");
  refuse(workload.imbalance_level != "rank", "--imbalance-level");
  refuse(workload.sampling != "exact", "--sampling");
  refuse(workload.num_masked.has_value(), "--num-masked");
  refuse(!workload.matrix.empty(), "--matrix");
  refuse(workload.hot_experts.has_value(), "--hot-experts");
  refuse(workload.hot_fraction.has_value(), "--hot-fraction");
  refuse(workload.step.has_value(), "--step");
  refuse(workload.burst_period.has_value(), "--burst-period");
  refuse(workload.num_groups.has_value(), "--num-groups");
  refuse(workload.num_topk_groups.has_value(), "--num-topk-groups");
}

}  // namespace

void add_trace_reading_flags(CLI::App& command, TraceFlags& flags) {
  command.add_option("--layers", flags.layers, "layers of the trace: 3,7 or all [all]");
  command.add_option("--npy", flags.npy, "what a .npy file of three or more axes holds: counts or ids");
  command.add_flag("--drop-constant", flags.drop_constant,
                   "leave out long runs of identical rows, as warm-up makes");
  command
      .add_option("--max-file-bytes", flags.max_file_bytes,
                  fmt::format("refuse larger trace files [{}]", default_max_file_bytes))
      ->check(CLI::PositiveNumber);
}

void add_trace_flags(CLI::App& command, TraceFlags& flags) {
  command.add_option("--trace", flags.trace,
                     "recorded routing, a file or a folder, instead of generated routing");
  add_trace_reading_flags(command, flags);
  command.add_option(
      "--windows", flags.windows,
      "windows of ranks x tokens that are replayed of each layer, a number or all [1; counts: their total]");
  command.add_option("--deal", flags.deal,
                     "recorded tokens to ranks: contiguous or round-robin [contiguous]");
}

void refuse_flags_without_trace(const TraceFlags& flags) {
  if (!flags.trace.empty()) return;
  const auto refuse = [](bool given, const char* flag) {
    if (given)
      throw UsageError(fmt::format(
          "{} is given without --trace (there is no recording to read); add that or drop it", flag));
  };
  refuse(flags.layers.has_value(), "--layers");
  refuse(!flags.npy.empty(), "--npy");
  refuse(flags.drop_constant, "--drop-constant");
  refuse(flags.max_file_bytes.has_value(), "--max-file-bytes");
  refuse(flags.windows.has_value(), "--windows");
  refuse(flags.deal.has_value(), "--deal");
}

std::vector<std::filesystem::path> inputs_of(const TraceFlags& flags, const WorkloadFlags& workload) {
  std::vector<std::filesystem::path> inputs;
  if (!flags.trace.empty()) inputs = trace_files(flags.trace);
  inputs.insert(inputs.end(), {workload.law, workload.matrix, workload.placement.value_or("")});
  return inputs;
}

Trace load_trace(const TraceFlags& flags, const WorkloadFlags& workload) {
  TraceOptions options;
  options.num_experts = stated(workload.num_experts, workload, &ModelShape::num_experts);
  options.topk = stated(workload.num_topk, workload, &ModelShape::topk);
  options.layers = layers_of(flags.layers);
  options.drop_constant = flags.drop_constant;
  options.array_content = array_content_of(flags.npy);
  options.max_file_bytes = flags.max_file_bytes.value_or(default_max_file_bytes);
  return read_trace(flags.trace, options);
}

Replay load_replay(const Trace& trace, const TraceFlags& flags, const WorkloadFlags& workload) {
  refuse_generator_flags(workload);
  const bool says_tokens =
      workload.num_processes || workload.num_tokens || !workload.num_tokens_per_rank.empty();
  ReplayOptions options;
  options.tokens_per_rank =
      says_tokens || trace.tokens_per_rank.empty() ? tokens_of(workload) : trace.tokens_per_rank;
  options.topk = trace.topk > 0 ? trace.topk : topk_of(workload);
  options.windows = windows_of(flags);
  options.deal = deal_of(flags);
  if (workload.placement) {
    const auto ranks = static_cast<int>(options.tokens_per_rank.size());
    options.placement = placement_of(workload, trace.num_experts, ranks);
  }
  options.seed = workload.seed;
  return replay(trace, options);
}

}  // namespace epskew::app
