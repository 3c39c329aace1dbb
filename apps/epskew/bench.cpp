#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "command.hpp"
#include "endurance.hpp"
#include "epskew/backends/registry.hpp"
#include "epskew/report/csv.hpp"
#include "epskew/report/html.hpp"
#include "epskew/report/json.hpp"
#include "epskew/report/session.hpp"
#include "epskew/report/tables.hpp"
#include "epskew/support/error.hpp"
#include "epskew/support/output_file.hpp"
#include "epskew/workload/generate.hpp"
#include "replayed_rounds.hpp"
#include "trace_flags.hpp"
#include "workload_flags.hpp"

namespace epskew::app {
namespace {

struct BenchFlags {
  WorkloadFlags workload;
  TraceFlags trace;
  EnduranceFlags endurance;
  std::vector<double> factors;
  std::string backend;
  std::vector<std::string> variants;
  std::string dispatch_format = "fp8";
  bool use_logfmt = false;
  std::int64_t iterations = 200;
  std::optional<std::int64_t> passes;
  std::int64_t warmup = 5;
  double timeout_s = 30;
  bool no_flush = false;
  std::optional<std::string> json, csv, html;
};

/// Where the results go; made, and thereby checked, before anything runs.
struct Outputs {
  std::optional<OutputFile> json, csv, html;
  std::FILE* text = stdout;  ///< the tables; stderr where a result goes to standard output
};

void add_flags(CLI::App& command, BenchFlags& flags) {
  add_workload_flags(command, flags.workload);
  add_trace_flags(command, flags.trace);
  add_endurance_flags(command, flags.endurance);
  command
      .add_option("--imbalance-factors", flags.factors,
                  "a round for each: largest rank load / mean load [1 2 3]")
      ->delimiter(',');
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
  command.add_flag("--no-flush", flags.no_flush, "leave the caches warm between iterations");
  command.add_option("--json", flags.json,
                     "write the result file; - for standard output, tables then go to stderr");
  command.add_option("--csv", flags.csv, "write a row for each round and phase; - as for --json");
  command.add_option("--html", flags.html, "write a page with plots, see epskew report; - as for --json");
}

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

const Backend& backend_of(const BenchFlags& flags) {
  if (flags.backend.empty()) return default_backend();
  const Backend* backend = find_backend(flags.backend);
  if (backend == nullptr) {
    std::string known;
    for (const Backend* each : all_backends())
      known += (known.empty() ? "" : ", ") + std::string(each->name());
    throw UsageError(
        fmt::format("--backend {} is unknown (no such backend); known: {}", flags.backend, known));
  }
  return *backend;
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
  for (const std::string& variant : flags.variants) {
    const auto equals = variant.find('=');
    if (equals == 0 || equals == std::string::npos) {
      throw UsageError(
          fmt::format("--variant {} is not understood (it has no name=value); see docs", variant));
    }
    if (!options.variants.emplace(variant.substr(0, equals), variant.substr(equals + 1)).second) {
      throw UsageError(fmt::format("--variant {} is given twice (each has one value); name it once",
                                   variant.substr(0, equals)));
    }
  }
  return options;
}

Outputs outputs_of(const BenchFlags& flags) {
  Outputs outputs;
  if (flags.json) outputs.json.emplace("--json", *flags.json);
  if (flags.csv) outputs.csv.emplace("--csv", *flags.csv);
  if (flags.html) outputs.html.emplace("--html", *flags.html);
  int to_stdout = 0;
  for (const auto* output : {&outputs.json, &outputs.csv, &outputs.html}) {
    to_stdout += *output && (*output)->is_stdout();
  }
  if (to_stdout > 1) {
    throw UsageError(
        "standard output is asked for twice (two results would run into each other); give one a file name");
  }
  if (to_stdout > 0) outputs.text = stderr;
  return outputs;
}

// A law or a pattern with loads of its own needs no factor; any other workload has DeepEP's three.
std::vector<double> factors_of(const BenchFlags& flags) {
  const bool has_own =
      !flags.workload.law.empty() || flags.workload.pattern == "k-hot" || flags.workload.pattern == "matrix";
  if (flags.factors.empty() && !has_own) return {1.0, 2.0, 3.0};
  return flags.factors;
}

/// What is run, and what the user should know about it.
struct BenchPlan {
  SessionPlan session;
  std::vector<std::string> notes;
};

/// DeepEP's default factors that this shape can reach; the others become a note. Factors that the user named
/// stay: one out of reach is refused.
std::vector<double> reachable(const BenchFlags& flags, std::vector<std::string>& notes) {
  std::vector<double> factors = factors_of(flags);
  if (!flags.factors.empty() || factors.empty()) return factors;
  const double bound = generate(to_spec(flags.workload, std::nullopt)).feasible_max;
  std::erase_if(factors, [&](double factor) {
    if (factor <= bound) return false;
    notes.push_back(
        fmt::format("the default factor {:g} is left out: this shape reaches at most {:.2f}", factor, bound));
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
  plan.distribution =
      spec.pattern == Pattern::none ? std::string(name_of(spec.family)) : flags.workload.pattern;
  plan.num_masked = spec.num_masked;
  plan.rounds = plan_rounds(spec, plan.factors);
}

void plan_replayed(const BenchFlags& flags, BenchPlan& plan) {
  if (!flags.factors.empty()) {
    throw UsageError(
        "--imbalance-factors and --trace are both given (the recording has its own factors); drop one");
  }
  ReplayedRounds replayed = replayed_rounds(flags.trace, flags.workload);
  plan.session.distribution = "trace";
  plan.session.trace = flags.trace.trace;
  plan.session.rounds = std::move(replayed.rounds);
  plan.notes = std::move(replayed.notes);
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
  plan.hidden = checked_hidden(flags.workload);
  if (flags.trace.trace.empty()) {
    plan_generated(flags, bench);
  } else {
    plan_replayed(flags, bench);
  }
  return bench;
}

/// Text for a person, as the rounds go by.
SessionObserver narrate(std::FILE* text, const std::vector<std::string>& notes) {
  const bool progress = ::isatty(STDERR_FILENO) != 0;
  SessionObserver observer;
  observer.started = [text, notes](const Record& record) {
    fmt::print(text, "{}", describe_run(record));
    for (const std::string& note : notes) fmt::print(text, "note: {}\n", note);
    std::fflush(text);
  };
  observer.visit_started = [progress](const std::string& label, std::size_t index, std::size_t total) {
    if (progress) fmt::print(stderr, "\r\033[K[{}/{}] {} ...", index + 1, total, label);
  };
  observer.round_finished = [text, progress](const RoundRecord& round) {
    if (progress) fmt::print(stderr, "\r\033[K");
    const bool is_first = round.label == "uniform";
    fmt::print(text, "{}{}", is_first ? describe_ranks(round) + "\n" : "", describe_round(round));
    std::fflush(text);
  };
  return observer;
}

/// Every seed draws one of the run's workloads, in turn: replayed tables as they are, others anew.
EndurancePlan endurance_plan(const BenchFlags& flags, const SessionPlan& session) {
  EndurancePlan plan{shape_of(session), session.options, flags.workload.seed, {}};
  if (session.trace) {
    plan.make_table = [rounds = session.rounds](std::uint64_t seed) {
      return rounds[seed % rounds.size()].workload.table;
    };
    return plan;
  }
  std::vector<std::optional<double>> targets(session.factors.rbegin(), session.factors.rend());
  targets.push_back(std::nullopt);
  plan.make_table = [workload = flags.workload, targets](std::uint64_t seed) {
    WorkloadSpec spec = to_spec(workload, targets[(seed - workload.seed) % targets.size()]);
    spec.seed = seed;
    return generate(spec).table;
  };
  return plan;
}

void endure(const BenchFlags& flags, const Backend& backend, const SessionPlan& session) {
  if (flags.json || flags.csv || flags.html) {
    throw UsageError(
        "--pressure-test and --shrink-test make no result file (they time nothing); drop --json, --csv and "
        "--html");
  }
  run_endurance(backend, flags.endurance, endurance_plan(flags, session), stdout);
}

void run_bench(const BenchFlags& flags, const std::vector<std::string>& argv) {
  check(flags.endurance);
  const Outputs outputs = outputs_of(flags);
  const Backend& backend = backend_of(flags);
  const BenchPlan plan = plan_of(flags, argv);
  if (flags.endurance.wanted()) return endure(flags, backend, plan.session);
  const auto record = run_session(backend, plan.session, narrate(outputs.text, plan.notes));
  if (!record) return;
  fmt::print(outputs.text, "{}", tables(*record));
  if (outputs.json) outputs.json->write(to_json(*record));
  if (outputs.csv) outputs.csv->write(to_csv(*record));
  if (outputs.html) outputs.html->write(report_page(std::vector{NamedRecord{record->host.name, *record}}));
}

}  // namespace

void add_bench(CLI::App& app, const std::vector<std::string>& argv) {
  const auto flags = std::make_shared<BenchFlags>();
  CLI::App* command =
      app.add_subcommand("bench", "the main job: rounds at growing imbalance, oracle, tables");
  add_flags(*command, *flags);
  command->callback([flags, argv] { run_bench(*flags, argv); });
}

}  // namespace epskew::app
