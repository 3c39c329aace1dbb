#include <fmt/format.h>
#include <nanobind/stl/map.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <cmath>

#include "epskew/report/recording.hpp"
#include "epskew/report/tables.hpp"
#include "epskew/support/error.hpp"
#include "phase_names.hpp"
#include "plan.hpp"
#include "result.hpp"

namespace epskew::python {
namespace {

using Strings = std::map<std::string, std::string>;

/// What a caller knows about who exchanged.
struct RunnerFacts {
  std::string backend;
  std::vector<std::string> facts;
  ClockRecord clock;
  std::map<std::string, std::string> libraries;
  std::optional<std::vector<std::string>> gpu;
  std::optional<std::string> driver;
  std::optional<Strings> variants;
  int num_devices = 0;
};

/// One visit as given.
struct VisitGiven {
  nb::dict samples;
  nb::object misalignment;
  nb::object kernels;
  std::optional<std::vector<std::int64_t>> memory_bytes;
  std::int64_t flush_bytes = 0;
  OracleRecord oracle;
};

/// An [iterations][num_ranks] matrix of microseconds. `rows` 0: any number but none.
SampleMatrix matrix_of(nb::handle given, const std::string& what, std::size_t rows, int num_ranks) {
  Numbers numbers = numbers_of(given, what.c_str());
  const bool fits = numbers.shape.size() == 2 && numbers.shape[1] == static_cast<std::size_t>(num_ranks) &&
                    numbers.shape[0] > 0 && (rows == 0 || numbers.shape[0] == rows);
  if (!fits) {
    throw UsageError(fmt::format("{} has shape {} ([{}, {}] is needed: iterations, ranks); give every sample",
                                 what, shape_text(numbers.shape), rows == 0 ? "n" : fmt::format("{}", rows),
                                 num_ranks));
  }
  for (const double us : numbers.values) {
    if (!std::isfinite(us) || us < 0) {
      throw UsageError(
          fmt::format("{} holds {} (a time in microseconds is needed); leave a phase out that was not "
                      "measured",
                      what, us));
    }
  }
  return {num_ranks, std::move(numbers.values)};
}

/// By phase. `rows` as for matrix_of.
std::array<SampleMatrix, num_phases> matrices_of(nb::handle given, const char* what, std::size_t rows,
                                                 int num_ranks) {
  std::array<SampleMatrix, num_phases> matrices;
  for (const auto [name, matrix] : nb::cast<nb::dict>(given)) {
    const auto phase = nb::cast<std::string>(name);
    const auto index = static_cast<std::size_t>(app::phases_of_names({phase}).front());
    matrices[index] = matrix_of(matrix, fmt::format("{} of {}", what, phase), rows, num_ranks);
  }
  return matrices;
}

class Recorder {
 public:
  Recorder(std::shared_ptr<BenchPlan> plan, const RunnerFacts& facts)
      : plan_(std::move(plan)), session_(plan_->session()) {
    if (facts.variants) session_.options.variants = *facts.variants;
    Runner runner{facts.backend, facts.facts, {}, facts.clock};
    runner.world.num_devices = facts.num_devices;
    recording_.emplace(session_, runner);
    Record& record = recording_->record();
    for (const auto& [name, version] : facts.libraries) record.libraries[name] = version;
    if (facts.gpu) record.gpu = *facts.gpu;
    if (facts.driver) record.driver = facts.driver;
  }

  void add_visit(std::size_t round, const VisitGiven& given) {
    const Visit& visit = next_visit(round);
    const int ranks = shape_of(session_).num_ranks;
    RoundResult result;
    result.phases =
        matrices_of(given.samples, "samples_us", static_cast<std::size_t>(visit.plan.iterations), ranks);
    if (!given.kernels.is_none()) result.kernels = matrices_of(given.kernels, "kernel_us", 0, ranks);
    check_same_phases(visit, result);
    result.misalignment.num_ranks = ranks;
    if (!given.misalignment.is_none())
      result.misalignment = matrix_of(given.misalignment, "misalignment_us", 0, ranks);
    if (given.memory_bytes) result.memory = memory_of(*given.memory_bytes, ranks);
    result.flush_bytes = given.flush_bytes;
    recording_->add(visit, std::move(result), given.oracle);
    ++added_;
  }

  std::string describe_round(std::size_t round) const {
    if (round >= session_.rounds.size()) throw nb::index_error("there is no such round");
    const std::string& label = session_.rounds[round].label;
    const auto& done = recording().record().rounds;
    const auto found =
        std::find_if(done.begin(), done.end(), [&](const RoundRecord& each) { return each.label == label; });
    if (found == done.end()) {
      throw UsageError(
          fmt::format("round {} is not complete (its last visit was not added); add it first", label));
    }
    return epskew::describe_round(*found);
  }

  Result finish() {
    recording();
    if (added_ != plan_->visits.size()) {
      throw UsageError(fmt::format("the record is not complete ({} of {} visits were added); add the others",
                                   added_, plan_->visits.size()));
    }
    Result result{std::move(*recording_).finish({})};
    recording_.reset();
    return result;
  }

 private:
  const Recording& recording() const {
    if (!recording_) throw UsageError("the recorder is finished (its result was given out); make another");
    return *recording_;
  }

  const Visit& next_visit(std::size_t round) const {
    recording();
    if (added_ == plan_->visits.size())
      throw UsageError("every visit of the plan was added (the record is complete); finish it");
    const Visit& visit = plan_->visits[added_];
    if (visit.round != round) {
      throw UsageError(
          fmt::format("round {} is added where round {} is next (visits come in the order of plan.visits); "
                      "add that",
                      round, visit.round));
    }
    return visit;
  }

  /// A phase that is measured in one visit of a round is in all.
  void check_same_phases(const Visit& visit, const RoundResult& result) {
    unsigned phases = 0;
    for (std::size_t i = 0; i < result.phases.size(); ++i)
      phases |= result.phases[i].us.empty() ? 0u : 1u << i;
    if (phases == 0)
      throw UsageError("samples_us is empty (a visit measures at least one phase); give its samples");
    unsigned& before = phases_[visit.round];
    if (!visit.plan.first_visit && before != phases) {
      throw UsageError(
          fmt::format("round {} has samples_us of other phases than in its visit before (a round measures "
                      "the same in all); measure them in every visit",
                      visit.plan.label));
    }
    before = phases;
  }

  static std::vector<MemoryUse> memory_of(const std::vector<std::int64_t>& bytes, int ranks) {
    if (bytes.size() != static_cast<std::size_t>(ranks)) {
      throw UsageError(fmt::format("memory_bytes has {} numbers (there are {} ranks); give one a rank",
                                   bytes.size(), ranks));
    }
    std::vector<MemoryUse> memory;
    for (const std::int64_t each : bytes) memory.push_back({each, each});
    return memory;
  }

  std::shared_ptr<BenchPlan> plan_;
  SessionPlan session_;  ///< the plan's, with the variants of the library
  std::optional<Recording> recording_;
  std::map<std::size_t, unsigned> phases_;  ///< by round: those measured, a bit each
  std::size_t added_ = 0;
};

}  // namespace

void add_recorder(nb::module_& module) {
  nb::class_<Recorder>(module, "Recorder",
                       "Turns measured matrices into a Result with the reductions of `epskew bench`.")
      .def(
          "__init__",
          [](Recorder* self, std::shared_ptr<BenchPlan> plan, std::string backend,
             std::vector<std::string> facts, const std::string& clock,
             std::optional<double> clock_resolution_ns, std::optional<Strings> libraries,
             std::optional<std::vector<std::string>> gpu, std::optional<std::string> driver,
             std::optional<Strings> variants, int num_devices) {
            new (self) Recorder(std::move(plan), {std::move(backend),
                                                  std::move(facts),
                                                  {clock, clock_resolution_ns},
                                                  libraries.value_or(Strings{}),
                                                  std::move(gpu),
                                                  std::move(driver),
                                                  std::move(variants),
                                                  num_devices});
          },
          nb::arg("plan"), nb::kw_only(), nb::arg("backend"), nb::arg("facts") = std::vector<std::string>{},
          nb::arg("clock") = "steady_clock", nb::arg("clock_resolution_ns") = nb::none(),
          nb::arg("libraries") = nb::none(), nb::arg("gpu") = nb::none(), nb::arg("driver") = nb::none(),
          nb::arg("variants") = nb::none(), nb::arg("num_devices") = 0)
      .def(
          "add_visit",
          [](Recorder& self, std::size_t round, nb::dict samples_us, nb::object misalignment_us,
             nb::object kernel_us, std::optional<std::vector<std::int64_t>> memory_bytes,
             std::int64_t flush_bytes, std::optional<std::string> before, std::optional<std::string> after) {
            self.add_visit(round, {std::move(samples_us),
                                   std::move(misalignment_us),
                                   std::move(kernel_us),
                                   std::move(memory_bytes),
                                   flush_bytes,
                                   {std::move(before), std::move(after)}});
          },
          nb::arg("round"), nb::arg("samples_us"), nb::kw_only(), nb::arg("misalignment_us") = nb::none(),
          nb::arg("kernel_us") = nb::none(), nb::arg("memory_bytes") = nb::none(), nb::arg("flush_bytes") = 0,
          nb::arg("before") = nb::none(), nb::arg("after") = nb::none())
      .def("describe_round", &Recorder::describe_round, nb::arg("round"))
      .def("finish", &Recorder::finish);
}

}  // namespace epskew::python
