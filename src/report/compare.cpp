#include "epskew/report/compare.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "epskew/support/error.hpp"

namespace epskew {
namespace {

constexpr std::uint64_t bootstrap_seed = 0;  // the same files give the same intervals

const RoundRecord* find_round(const Record& record, const std::string& label) {
  const auto found = std::find_if(record.rounds.begin(), record.rounds.end(),
                                  [&](const RoundRecord& round) { return round.label == label; });
  return found == record.rounds.end() ? nullptr : &*found;
}

void check_oracle(const NamedRecord& result) {
  for (const RoundRecord& round : result.record.rounds) {
    for (const auto& verdict : {round.oracle.before, round.oracle.after}) {
      if (!verdict || *verdict == "passed") continue;
      throw UsageError(fmt::format(
          "{} cannot be compared (the oracle found a wrong result in round {}: {}); measure again "
          "with a backend that is right",
          result.name, round.label, *verdict));
    }
  }
}

/// "hidden 7168 against 2048", … of what makes two runs different tasks.
std::vector<std::string> shape_differences(const ConfigRecord& a, const ConfigRecord& b) {
  std::vector<std::string> out;
  const auto add = [&](const char* name, int left, int right) {
    if (left != right) out.push_back(fmt::format("{} {} against {}", name, left, right));
  };
  add("ranks", a.num_ranks, b.num_ranks);
  add("experts", a.num_experts, b.num_experts);
  add("top-k", a.topk, b.topk);
  add("hidden", a.hidden, b.hidden);
  if (a.tokens_per_rank != b.tokens_per_rank) {
    out.push_back(fmt::format("tokens per rank {} against {}", fmt::join(a.tokens_per_rank, " "),
                              fmt::join(b.tokens_per_rank, " ")));
  }
  return out;
}

/// What a reader wants to know of before he believes a ratio.
std::vector<std::string> run_differences(const Record& a, const Record& b) {
  std::vector<std::string> out = shape_differences(a.config, b.config);
  const auto add = [&](const char* name, const std::string& left, const std::string& right) {
    if (left != right) out.push_back(fmt::format("{} {} against {}", name, left, right));
  };
  add("backend", a.config.backend, b.config.backend);
  add("dispatch format", a.config.dispatch_format, b.config.dispatch_format);
  add("combine format", a.config.combine_format, b.config.combine_format);
  add("micro-batches", fmt::format("{}", a.config.micro_batches), fmt::format("{}", b.config.micro_batches));
  add("iterations", fmt::format("{}", a.config.iterations), fmt::format("{}", b.config.iterations));
  add("cache", a.config.flush_cache ? "flushed" : "warm", b.config.flush_cache ? "flushed" : "warm");
  add("host", a.host.name, b.host.name);
  add("CPU", a.cpu.model, b.cpu.model);
  add("GPU", fmt::format("{}", fmt::join(a.gpu, "; ")), fmt::format("{}", fmt::join(b.gpu, "; ")));
  add("epskew", a.tool.version, b.tool.version);
  add("build", a.build.type, b.build.type);
  for (const auto& [name, variant] : a.config.variants) {
    const auto other = b.config.variants.find(name);
    add(("variant " + name).c_str(), variant, other == b.config.variants.end() ? "none" : other->second);
  }
  return out;
}

void check_shapes(const NamedRecord& a, const NamedRecord& b, const CompareOptions& options) {
  const auto differences = shape_differences(a.record.config, b.record.config);
  if (differences.empty() || options.allow_different_routing) return;
  throw UsageError(
      fmt::format("{} and {} differ in shape ({}); compare runs of one shape, or add "
                  "--allow-different-routing",
                  a.name, b.name, fmt::join(differences, ", ")));
}

void check_options(const CompareOptions& options) {
  if (!options.fail_above || (std::isfinite(*options.fail_above) && *options.fail_above >= 1)) return;
  throw UsageError(
      fmt::format("--fail-above {} is not a limit (it is a ratio B/A, at least 1); give for example 1.05",
                  *options.fail_above));
}

ComparedStatistic compare_quantile(PassedSamples a, PassedSamples b, double q) {
  return {percentile(a.us, q), percentile(b.us, q),
          ratio_of_quantiles(b, a, q, PassPairing::separate_runs, bootstrap_seed)};
}

/// One round of a result that knows how many passes it was measured in.
struct RoundOf {
  const RoundRecord& round;
  int passes;
};

ComparedPhase compare_phase(const RoundOf& a, const RoundOf& b, Phase phase) {
  const std::vector<double> slowest_a = slowest_rank(a.round.phase(phase)->samples_us);
  const std::vector<double> slowest_b = slowest_rank(b.round.phase(phase)->samples_us);
  const PassedSamples samples_a{slowest_a, a.passes};
  const PassedSamples samples_b{slowest_b, b.passes};
  return {a.round.label, phase, a.round.workload.digest == b.round.workload.digest,
          compare_quantile(samples_a, samples_b, 0.5), compare_quantile(samples_a, samples_b, 0.99)};
}

/// Compares round by round; what has no counterpart is put into words.
class RoundByRound {
 public:
  RoundByRound(const NamedRecord& a, const NamedRecord& b, const CompareOptions& options, Comparison& out)
      : a_(a), b_(b), options_(options), out_(out) {}

  void run() {
    for (const RoundRecord& round : a_.record.rounds) add_round(round);
    for (const RoundRecord& round : b_.record.rounds) {
      if (!find_round(a_.record, round.label)) {
        out_.left_out.push_back(fmt::format("round {}: only in {}", round.label, b_.name));
      }
    }
  }

 private:
  void add_round(const RoundRecord& round) {
    const RoundRecord* other = find_round(b_.record, round.label);
    if (!other) return miss(fmt::format("round {}: only in {}", round.label, a_.name));
    if (round.workload.digest != other->workload.digest && !options_.allow_different_routing) {
      throw UsageError(
          fmt::format("round {} is routed differently in {} and {} (digests {} and {}); run both with the "
                      "same workload and seed, or add --allow-different-routing",
                      round.label, a_.name, b_.name, round.workload.digest, other->workload.digest));
    }
    for (const Phase phase : options_.phases) {
      if (round.phase(phase) && other->phase(phase)) {
        add(compare_phase({round, a_.record.config.passes}, {*other, b_.record.config.passes}, phase));
      } else {
        miss(fmt::format("round {}, {}: not measured in {}", round.label, name_of(phase),
                         round.phase(phase) ? b_.name : a_.name));
      }
    }
  }

  void add(ComparedPhase row) {
    if (!row.p50.ratio && options_.fail_above) {
      throw UsageError(fmt::format(
          "--fail-above cannot judge {} of round {} (too few samples for a ratio of medians); run "
          "more iterations",
          name_of(row.phase), row.round));
    }
    out_.phases.push_back(std::move(row));
  }

  void miss(std::string what) {
    if (options_.fail_above) {
      throw UsageError(fmt::format(
          "--fail-above cannot judge every round ({}); run both with the same rounds and phases", what));
    }
    out_.left_out.push_back(std::move(what));
  }

  const NamedRecord& a_;
  const NamedRecord& b_;
  const CompareOptions& options_;
  Comparison& out_;
};

}  // namespace

std::string_view text_of(Reading reading) {
  switch (reading) {
    case Reading::slower:
      return "B slower";
    case Reading::faster:
      return "B faster";
    case Reading::no_difference:
      return "no difference seen";
    case Reading::too_few_samples:
      break;
  }
  return "too few samples";
}

Reading ComparedStatistic::reading() const {
  if (!ratio) return Reading::too_few_samples;
  if (ratio->low > 1) return Reading::slower;
  return ratio->high < 1 ? Reading::faster : Reading::no_difference;
}

std::vector<const ComparedPhase*> Comparison::failures() const {
  std::vector<const ComparedPhase*> out;
  for (const ComparedPhase& row : phases) {
    if (fail_above && row.p50.ratio && row.p50.ratio->low > *fail_above) out.push_back(&row);
  }
  return out;
}

Comparison compare(const NamedRecord& a, const NamedRecord& b, const CompareOptions& options) {
  check_options(options);
  check_oracle(a);
  check_oracle(b);
  check_shapes(a, b, options);
  Comparison out;
  out.a = a.name;
  out.b = b.name;
  out.fail_above = options.fail_above;
  out.differences = run_differences(a.record, b.record);
  RoundByRound(a, b, options, out).run();
  if (out.phases.empty()) {
    throw UsageError(
        fmt::format("{} and {} have no round and phase in common ({}); run both with the same rounds", a.name,
                    b.name, fmt::join(out.left_out, ", ")));
  }
  return out;
}

}  // namespace epskew
