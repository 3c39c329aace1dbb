#include <fmt/format.h>

#include <cstdio>
#include <memory>
#include <optional>
#include <string>

#include "command.hpp"
#include "epskew/routing/digest.hpp"
#include "epskew/routing/load.hpp"
#include "epskew/support/error.hpp"
#include "epskew/support/memory.hpp"
#include "epskew/trace/routing_file.hpp"
#include "epskew/trace/spec_json.hpp"
#include "epskew/workload/generate.hpp"
#include "epskew/workload/pattern.hpp"
#include "trace_flags.hpp"
#include "workload_flags.hpp"

namespace epskew::app {
namespace {

struct GenFlags {
  WorkloadFlags workload;
  TraceFlags trace;
  std::optional<double> factor;
  std::string output;
};

struct Made {
  RoutingTable table;
  std::string spec;
  std::vector<std::string> notes;
};

Made replay_one(const GenFlags& flags) {
  if (flags.factor) {
    throw UsageError(
        "--imbalance-factor and --trace are both given (the recording has its own factor); drop one");
  }
  const Trace trace = load_trace(flags.trace, flags.workload);
  Replay replayed = load_replay(trace, flags.trace, flags.workload);
  if (replayed.rounds.size() != 1) {
    throw UsageError(fmt::format(
        "the trace gives {} rounds (a routing file holds one); choose one with --layers and --windows 1",
        replayed.rounds.size()));
  }
  Made made;
  made.spec = spec_json(trace, replayed.rounds.front());
  made.table = std::move(replayed.rounds.front().table);
  made.notes = trace.notes;
  made.notes.insert(made.notes.end(), replayed.notes.begin(), replayed.notes.end());
  return made;
}

Made generate_one(const GenFlags& flags) {
  refuse_flags_without_trace(flags.trace);
  const WorkloadSpec spec = to_spec(flags.workload, flags.factor);
  refuse_unused_law_flags(flags.workload, flags.factor.has_value());
  Workload workload = generate(spec);
  Made made;
  if (is_cold_step(spec)) {
    made.notes.push_back(fmt::format("step {} is balanced: a burst of period {} is hot in steps {}, {}, …",
                                     spec.step, spec.burst_period, spec.burst_period - 1,
                                     2 * std::int64_t{spec.burst_period} - 1));
  }
  made.spec = spec_json(spec, workload);
  made.table = std::move(workload.table);
  return made;
}

void run_gen(const GenFlags& flags) {
  if (flags.workload.hidden) checked_hidden(flags.workload);
  const std::optional<OutputFile> output(std::in_place, "-o", flags.output);
  refuse_to_replace({&output}, inputs_of(flags.trace, flags.workload));
  const Made made = flags.trace.trace.empty() ? generate_one(flags) : replay_one(flags);
  require_memory(static_cast<double>(
                     routing_file_bytes(made.table.num_ranks(), made.table.max_tokens(), made.table.topk)),
                 "the routing file", "choose fewer tokens or ranks");
  write_routing_file(*output, made.table, made.spec);
  std::FILE* text = output->is_stdout() ? stderr : stdout;
  for (const std::string& note : made.notes) fmt::print(text, "note: {}\n", note);
  fmt::print(text, "{}: {} tokens on {} ranks, top-{} of {} experts, factor {:.4f}, digest {}\n",
             flags.output, made.table.num_tokens(), made.table.num_ranks(), made.table.topk,
             made.table.num_experts, count_load(made.table).rank.factor, digest(made.table));
}

}  // namespace

void add_gen(CLI::App& app) {
  const auto flags = std::make_shared<GenFlags>();
  CLI::App* command = app.add_subcommand(
      "gen", "makes a routing and writes it as a safetensors file that numpy, torch and JAX read");
  add_workload_flags(*command, flags->workload);
  add_trace_flags(*command, flags->trace);
  command->add_option("--imbalance-factor,--imbalance-factors", flags->factor,
                      "largest rank load / mean load, exact [none: experts drawn uniformly]");
  command->add_option("-o,--output", flags->output, "the routing file; - for standard output")->required();
  command->callback([flags] { run_gen(*flags); });
}

}  // namespace epskew::app
