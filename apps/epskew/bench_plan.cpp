#include "bench_plan.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>

#include "epskew/support/error.hpp"
#include "epskew/workload/generate.hpp"
#include "epskew/workload/pattern.hpp"
#include "replayed_rounds.hpp"

namespace epskew::app {
namespace {

int checked_count(std::int64_t value, std::int64_t least, const char* flag) {
  constexpr std::int64_t most = 1'000'000;
  if (value < least || value > most) {
    throw UsageError(fmt::format("{} {} is out of range ({} to {} are possible); choose a number in it", flag,
                                 value, least, most));
  }
  return static_cast<int>(value);
}

std::chrono::milliseconds timeout_of(double seconds) {
  constexpr double longest = 86400;
  if (!(seconds >= 0.001 && seconds <= longest)) {
    throw UsageError(
        fmt::format("--timeout {} is out of range (0.001 to {} seconds are possible); choose a number in it",
                    seconds, longest));
  }
  return std::chrono::milliseconds(static_cast<std::int64_t>(std::ceil(seconds * 1e3)));
}

std::optional<double> link_bandwidth_of(const BenchFlags& flags) {
  constexpr double most = 1e6;
  if (flags.link_gb_per_s && !(*flags.link_gb_per_s > 0 && *flags.link_gb_per_s <= most)) {
    throw UsageError(fmt::format(
        "--link-bandwidth {} is out of range (a number above 0 up to {:g} GB/s is possible); choose one",
        *flags.link_gb_per_s, most));
  }
  return flags.link_gb_per_s;
}

ExchangeOptions options_of(const BenchFlags& flags) {
  ExchangeOptions options;
  const auto format = find_dispatch_format(flags.dispatch_format);
  if (!format) {
    throw UsageError(
        fmt::format("--dispatch-format {} is unknown (no such format); known: bf16, fp8, fp8_pow2, fp8_ue8m0",
                    flags.dispatch_format));
  }
  options.dispatch = *format;
  options.combine = flags.use_logfmt ? CombineFormat::logfmt10 : CombineFormat::bf16;
  options.timeout = timeout_of(flags.timeout_s);
  options.micro_batches = checked_count(flags.micro_batches, 1, "--micro-batches");
  for (const std::string& variant : flags.variants) {
    const auto equals = variant.find('=');
    if (equals == 0 || equals == std::string::npos) {
      throw UsageError(fmt::format(
          "--variant {} is not understood (it is no name=value); write it as dispatch=dedup is written",
          variant));
    }
    if (!options.variants.emplace(variant.substr(0, equals), variant.substr(equals + 1)).second) {
      throw UsageError(fmt::format("--variant {} is given twice (each has one value); name it once",
                                   variant.substr(0, equals)));
    }
  }
  return options;
}

// A law or a pattern with loads of its own needs no factor; any other workload has DeepEP's three.
std::vector<double> factors_of(const BenchFlags& flags) {
  const auto pattern = find_pattern(flags.workload.pattern);
  const bool has_own =
      !flags.workload.law.empty() || (pattern && *pattern != Pattern::none && !takes_factor(*pattern));
  if (flags.factors.empty() && !has_own) return {1.0, 2.0, 3.0};
  return flags.factors;
}

/// DeepEP's default factors that this shape can reach; the others become a note. Factors that the user named
/// stay: one out of reach is refused.
std::vector<double> reachable(const BenchFlags& flags, std::vector<std::string>& notes) {
  std::vector<double> factors = factors_of(flags);
  if (!flags.factors.empty() || factors.empty()) return factors;
  const double bound = reachable_factor(to_spec(flags.workload, std::nullopt));
  std::erase_if(factors, [&](double factor) {
    if (factor <= bound) return false;
    notes.push_back(fmt::format("the default factor {:g} is left out: this workload reaches at most {:.2f}",
                                factor, std::floor(bound * 100) / 100));
    return true;
  });
  return factors;
}

void plan_generated(const BenchFlags& flags, BenchPlan& bench) {
  SessionPlan& plan = bench.session;
  plan.factors = reachable(flags, bench.notes);
  for (const double factor : plan.factors)
    to_spec(flags.workload, factor);  // each is checked before any is made
  const WorkloadSpec spec = to_spec(flags.workload, std::nullopt);
  plan.distribution = spec.pattern != Pattern::none ? std::string(name_of(spec.pattern))
                      : spec.curve.empty()          ? std::string(name_of(spec.family))
                                                    : spec.curve_name;
  plan.num_masked = spec.num_masked;
  plan.rounds = plan_rounds(spec, plan.factors, flags.steps ? checked_count(*flags.steps, 1, "--steps") : 1);
}

void plan_replayed(const BenchFlags& flags, BenchPlan& plan) {
  if (!flags.factors.empty()) {
    throw UsageError(
        "--imbalance-factors and --trace are both given (the recording has its own factors); drop one");
  }
  if (flags.steps)
    throw UsageError("--steps and --trace are both given (the recording has its own rounds); drop one");
  ReplayedRounds replayed = replayed_rounds(flags.trace, flags.workload);
  plan.session.distribution = "trace";
  plan.session.trace = flags.trace.trace;
  plan.session.rounds = std::move(replayed.rounds);
  plan.notes = std::move(replayed.notes);
}

}  // namespace

void add_bench_flags(CLI::App& command, BenchFlags& flags) {
  add_workload_flags(command, flags.workload);
  add_trace_flags(command, flags.trace);
  command
      .add_option("--imbalance-factors", flags.factors,
                  "a round for each: largest rank load / mean load [1 2 3]")
      ->delimiter(',');
  command.add_option("--steps", flags.steps,
                     "rotating, burst: so many rounds a factor, of --step and the steps after it [1]");
  command.add_option("--backend", flags.backend, "see epskew info [the first that can run here]");
  command.add_option("--variant", flags.variants, "an option of the backend, name=value; may be repeated")
      ->take_all();
  command.add_option("--dispatch-format", flags.dispatch_format, "fp8, bf16, fp8_pow2 or fp8_ue8m0")
      ->capture_default_str();
  command.add_flag("--use-logfmt", flags.use_logfmt, "combine in LogFMT-10 instead of bf16");
  command
      .add_option("--iterations", flags.iterations, "timed iterations of each timing mode; 200 give a p99")
      ->capture_default_str();
  command.add_option("--passes", flags.passes,
                     "take the iterations of all rounds in so many turns, so that drift of the machine hits "
                     "every round [4, or --iterations if fewer]");
  command.add_option("--warmup", flags.warmup, "untimed iterations before them, in every pass")
      ->capture_default_str();
  command.add_option("--timeout", flags.timeout_s, "seconds after which a wait for another rank fails")
      ->capture_default_str();
  command
      .add_option("--micro-batches", flags.micro_batches,
                  "exchanges in flight at once in the oracle's checks and in --pressure-test, each with "
                  "buffers of its own; one of them is timed")
      ->capture_default_str();
  command.add_flag("--no-flush", flags.no_flush, "leave the caches warm between iterations");
  command.add_option(
      "--link-bandwidth", flags.link_gb_per_s,
      "GB/s in one direction of a rank's link, for the columns marked as link model: 50 for a 400 "
      "Gb/s adapter [450, NVLink of an H200, where the ranks run on GPUs; else no model]");
  command.add_option("--json", flags.json,
                     "write the result file; - for standard output, tables then go to stderr");
  command.add_option("--csv", flags.csv, "write a row for each round and phase; - as for --json");
  command.add_option("--html", flags.html, "write a page with plots, see epskew report; - as for --json");
}

const Backend& backend_named(const std::string& name) {
  if (name.empty()) return default_backend();
  const Backend* backend = find_backend(name);
  if (backend == nullptr) {
    std::string known;
    for (const Backend* each : all_backends())
      known += (known.empty() ? "" : ", ") + std::string(each->name());
    throw UsageError(fmt::format("--backend {} is unknown (no such backend); known: {}", name, known));
  }
  return *backend;
}

Outputs outputs_of(const BenchFlags& flags) {
  Outputs outputs;
  if (flags.json) outputs.json.emplace("--json", *flags.json);
  if (flags.csv) outputs.csv.emplace("--csv", *flags.csv);
  if (flags.html) outputs.html.emplace("--html", *flags.html);
  require_distinct({&outputs.json, &outputs.csv, &outputs.html});
  refuse_to_replace({&outputs.json, &outputs.csv, &outputs.html}, inputs_of(flags.trace, flags.workload));
  for (const auto* output : {&outputs.json, &outputs.csv, &outputs.html}) {
    if (*output && (*output)->is_stdout()) outputs.text = stderr;
  }
  return outputs;
}

BenchPlan plan_of(const BenchFlags& flags, const std::vector<std::string>& argv) {
  BenchPlan bench;
  SessionPlan& plan = bench.session;
  plan.argv = argv;
  plan.options = options_of(flags);
  plan.round.iterations = checked_count(flags.iterations, 1, "--iterations");
  plan.passes =
      flags.passes ? checked_count(*flags.passes, 1, "--passes") : std::min(4, plan.round.iterations);
  plan.round.warmup = checked_count(flags.warmup, 0, "--warmup");
  plan.round.flush_cache = !flags.no_flush;
  plan.round.seed = flags.workload.seed;
  plan.link_gb_per_s = link_bandwidth_of(flags);
  plan.hidden = checked_hidden(flags.workload);
  if (flags.workload.ranks_per_node)
    plan.ranks_per_node = checked_count(*flags.workload.ranks_per_node, 1, "--ranks-per-node");
  refuse_flags_without_trace(flags.trace);
  if (flags.trace.trace.empty()) {
    plan_generated(flags, bench);
  } else {
    plan_replayed(flags, bench);
  }
  return bench;
}

}  // namespace epskew::app
