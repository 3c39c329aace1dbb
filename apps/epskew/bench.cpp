#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bench_plan.hpp"
#include "command.hpp"
#include "endurance.hpp"
#include "epskew/report/csv.hpp"
#include "epskew/report/html.hpp"
#include "epskew/report/json.hpp"
#include "epskew/report/session.hpp"
#include "epskew/report/tables.hpp"
#include "epskew/support/error.hpp"
#include "epskew/workload/generate.hpp"

namespace epskew::app {
namespace {

struct ProgramFlags {
  BenchFlags bench;
  EnduranceFlags endurance;
};

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

/// Flags of the timing and its results are a mistake with the tests that time nothing.
void refuse_timing_flags(const CLI::App& command, const EnduranceFlags& endurance) {
  if (!endurance.wanted()) return;
  for (const char* flag : {"--json", "--csv", "--html", "--steps", "--iterations", "--passes", "--warmup",
                           "--no-flush", "--link-bandwidth"}) {
    if (command.count(flag) == 0) continue;
    throw UsageError(
        fmt::format("{} and {} are both given (that test times nothing and makes no result); drop one",
                    endurance.pressure ? "--pressure-test" : "--shrink-test", flag));
  }
}

void run_bench(const ProgramFlags& flags, const CLI::App& command, const std::vector<std::string>& argv) {
  check(flags.endurance);
  refuse_timing_flags(command, flags.endurance);
  const Outputs outputs = outputs_of(flags.bench);
  const Backend& backend = backend_named(flags.bench.backend);
  const BenchPlan plan = plan_of(flags.bench, argv);
  if (flags.endurance.wanted())
    return run_endurance(backend, flags.endurance, endurance_plan(flags.bench, plan.session), stdout);
  const auto record = run_session(backend, plan.session, narrate(outputs.text, plan.notes));
  if (!record) return;
  fmt::print(outputs.text, "{}", tables(*record));
  if (outputs.json) outputs.json->write(to_json(*record));
  if (outputs.csv) outputs.csv->write(to_csv(*record));
  if (outputs.html) outputs.html->write(report_page(std::vector{NamedRecord{record->host.name, *record}}));
}

}  // namespace

void add_bench(CLI::App& app, const std::vector<std::string>& argv) {
  const auto flags = std::make_shared<ProgramFlags>();
  CLI::App* command =
      app.add_subcommand("bench", "the main job: rounds at growing imbalance, oracle, tables");
  add_bench_flags(*command, flags->bench);
  add_endurance_flags(*command, flags->endurance);
  command->callback([flags, command, argv] { run_bench(*flags, *command, argv); });
}

}  // namespace epskew::app
