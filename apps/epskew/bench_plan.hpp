#pragma once

/// From the flags of `bench` to what is run: shared by the program and the Python package.

#include <CLI/CLI.hpp>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>
#include <vector>

#include "epskew/backends/registry.hpp"
#include "epskew/report/session.hpp"
#include "epskew/support/output_file.hpp"
#include "trace_flags.hpp"
#include "workload_flags.hpp"

namespace epskew::app {

/// As given on the command line.
struct BenchFlags {
  WorkloadFlags workload;
  TraceFlags trace;
  std::vector<double> factors;
  std::optional<std::int64_t> steps;
  std::string backend;
  std::vector<std::string> variants;
  std::string dispatch_format = "fp8";
  bool use_logfmt = false;
  std::int64_t iterations = 200;
  std::optional<std::int64_t> passes;
  std::int64_t warmup = 5;
  double timeout_s = 30;
  std::int64_t micro_batches = 1;
  bool no_flush = false;
  std::optional<double> link_gb_per_s;
  std::optional<std::string> json, csv, html;
};

/// Where the results go; made, and thereby checked, before anything runs.
struct Outputs {
  std::optional<OutputFile> json, csv, html;
  std::FILE* text = stdout;  ///< the tables; stderr where a result goes to standard output
};

/// What is run, and what the user should know about it.
struct BenchPlan {
  SessionPlan session;
  std::vector<std::string> notes;
};

/// Adds every flag of BenchFlags to `command`. `flags` must live until the command line is parsed.
void add_bench_flags(CLI::App& command, BenchFlags& flags);

/// The backend that --backend names; empty: the first that can run here. Throws UsageError for an unknown
/// one.
const Backend& backend_named(const std::string& name);

/// Throws UsageError for a file that cannot be written, where two results go to one place and where one would
/// replace what is read.
Outputs outputs_of(const BenchFlags& flags);

/// The rounds with their routing, and how they are exchanged and timed. `argv` is the whole command line, for
/// the record. Throws UsageError for whatever no backend could run.
BenchPlan plan_of(const BenchFlags& flags, const std::vector<std::string>& argv);

}  // namespace epskew::app
