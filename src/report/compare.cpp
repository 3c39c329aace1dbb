#include "epskew/report/compare.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <map>
#include <utility>

#include "epskew/support/error.hpp"

namespace epskew {
namespace {

constexpr std::uint64_t bootstrap_seed = 0;  // the same files give the same intervals
constexpr double sure_limit = 1.05;          // runs of one program differ by less on a machine of their own

const RoundRecord* find_round(const Record& record, const std::string& label) {
  const auto found = std::find_if(record.rounds.begin(), record.rounds.end(),
                                  [&](const RoundRecord& round) { return round.label == label; });
  return found == record.rounds.end() ? nullptr : &*found;
}

void check_oracle(const NamedRecord& result, bool is_gate) {
  for (const RoundRecord& round : result.record.rounds) {
    for (const auto& verdict : {round.oracle.before, round.oracle.after}) {
      if (!verdict && is_gate) {
        throw UsageError(fmt::format(
            "--fail-above cannot judge {} (round {} was not checked by the oracle, so its times may be "
            "those of a wrong exchange); measure again with epskew bench",
            result.name, round.label));
      }
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

/// Of a fact of a backend, what may differ between two runs: "exchange: node, chosen by … (… 12 us)" without
/// what was measured for it.
std::string without_figures(const std::string& fact) {
  return fact.substr(0, fact.find(", chosen by"));
}

/// A backend's facts by what stands before their first colon.
std::map<std::string, std::string> facts_of(const ConfigRecord& config) {
  std::map<std::string, std::string> facts;
  for (const std::string& fact : config.backend_facts) {
    const auto colon = fact.find(": ");
    const std::string text = without_figures(fact);
    facts[text.substr(0, colon)] += colon == std::string::npos ? "yes" : text.substr(colon + 2);
  }
  return facts;
}

/// Puts into words what a reader wants to know of before he believes a ratio.
class Differences {
 public:
  template <class T>
  void add(const std::string& name, const T& a, const T& b) {
    if (a != b) lines_.push_back(fmt::format("{} {} against {}", name, a, b));
  }
  void add(const std::string& name, const std::optional<std::string>& a,
           const std::optional<std::string>& b) {
    add(name, a.value_or("unknown"), b.value_or("unknown"));
  }
  /// Whatever either has.
  void add_all(const std::string& name, const std::map<std::string, std::string>& a,
               const std::map<std::string, std::string>& b) {
    std::map<std::string, std::string> both = a;
    both.insert(b.begin(), b.end());
    const auto value = [](const auto& map, const std::string& key) {
      const auto found = map.find(key);
      return found == map.end() ? std::string("none") : found->second;
    };
    for (const auto& [key, unused] : both) add(name + " " + key, value(a, key), value(b, key));
  }
  void append(std::vector<std::string> lines) {
    lines_.insert(lines_.end(), std::make_move_iterator(lines.begin()), std::make_move_iterator(lines.end()));
  }
  std::vector<std::string> take() { return std::move(lines_); }

 private:
  std::vector<std::string> lines_;
};

std::string text_of(const std::optional<int>& number) {
  return number ? fmt::format("{}", *number) : "as they are";
}

void add_settings(const ConfigRecord& a, const ConfigRecord& b, Differences& out) {
  out.add("backend", a.backend, b.backend);
  out.add_all("variant", a.variants, b.variants);
  out.add("dispatch format", a.dispatch_format, b.dispatch_format);
  out.add("combine format", a.combine_format, b.combine_format);
  out.add("micro-batches", a.micro_batches, b.micro_batches);
  out.add("masked entries a rank", a.num_masked, b.num_masked);
  out.add("iterations", a.iterations, b.iterations);
  out.add("passes", a.passes, b.passes);
  out.add("warm-up", a.warmup, b.warmup);
  out.add("cache", std::string(a.flush_cache ? "flushed" : "warm"),
          std::string(b.flush_cache ? "flushed" : "warm"));
  out.add("clock", a.clock.source, b.clock.source);
}

std::string simulation_of(const Record& record) {
  return record.simulation ? record.simulation->simulator + " of " + record.simulation->platform : "none";
}

std::string emulation_of(const Record& record) {
  if (!record.emulation) return "none";
  return fmt::format("of {} ranks on {} GPUs", record.emulation->num_ranks, record.emulation->num_devices);
}

void add_machine(const Record& a, const Record& b, Differences& out) {
  out.add("host", a.host.name, b.host.name);
  out.add("CPU", a.cpu.model, b.cpu.model);
  out.add("usable cores", a.cpu.logical_cores, b.cpu.logical_cores);
  out.add("GPU", fmt::format("{}", fmt::join(a.gpu, "; ")), fmt::format("{}", fmt::join(b.gpu, "; ")));
  out.add("GPU driver", a.driver, b.driver);
  out.add("emulation", emulation_of(a), emulation_of(b));
  out.add("simulation", simulation_of(a), simulation_of(b));
  out.add("ranks a node", text_of(a.config.ranks_per_node), text_of(b.config.ranks_per_node));
  out.add_all("library", a.libraries, b.libraries);
  out.add_all("backend fact", facts_of(a.config), facts_of(b.config));
}

void add_program(const Record& a, const Record& b, Differences& out) {
  out.add("epskew", a.tool.version, b.tool.version);
  out.add("commit", a.build.commit, b.build.commit);
  out.add("build", a.build.type, b.build.type);
  out.add("compiler", a.build.compiler, b.build.compiler);
  out.add("compiler flags", a.build.flags, b.build.flags);
}

std::vector<std::string> run_differences(const Record& a, const Record& b) {
  Differences out;
  out.append(shape_differences(a.config, b.config));
  add_settings(a.config, b.config, out);
  add_machine(a, b, out);
  add_program(a, b, out);
  return out.take();
}

/// What makes the intervals of a comparison worth less than they look.
std::vector<std::string> warnings_about(const NamedRecord& a, const NamedRecord& b,
                                        const CompareOptions& options) {
  std::vector<std::string> out;
  for (const NamedRecord* result : {&a, &b}) {
    if (result->record.config.passes == 1) {
      out.push_back(
          fmt::format("{} was measured in one pass: drift between its rounds is not in the intervals; "
                      "measure in several (bench --passes)",
                      result->name));
    }
    for (const RoundRecord& round : result->record.rounds) {
      if (!round.oracle.before || !round.oracle.after)
        out.push_back(fmt::format("{}: round {} was not checked by the oracle", result->name, round.label));
    }
  }
  if (options.fail_above && *options.fail_above < sure_limit) {
    out.push_back(fmt::format(
        "--fail-above {} is below {}: two runs of the same program may differ by more; compare several "
        "runs of each side",
        *options.fail_above, sure_limit));
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
  check_oracle(a, options.fail_above.has_value());
  check_oracle(b, options.fail_above.has_value());
  check_shapes(a, b, options);
  Comparison out;
  out.a = a.name;
  out.b = b.name;
  out.fail_above = options.fail_above;
  out.differences = run_differences(a.record, b.record);
  out.warnings = warnings_about(a, b, options);
  RoundByRound(a, b, options, out).run();
  if (out.phases.empty()) {
    throw UsageError(
        fmt::format("{} and {} have no round and phase in common ({}); run both with the same rounds", a.name,
                    b.name, fmt::join(out.left_out, ", ")));
  }
  return out;
}

}  // namespace epskew
