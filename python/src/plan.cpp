#include "plan.hpp"

#include <fmt/format.h>
#include <nanobind/stl/map.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "command_line.hpp"
#include "epskew/support/error.hpp"
#include "strict_values.hpp"

namespace epskew::python {
namespace {

/// The command line that takes the flags of bench, and only these.
class BenchCommand {
 public:
  BenchCommand() : app_("", "epskew bench") {
    app_.set_help_flag();
    app::add_bench_flags(app_, flags);
    app::read_whole_numbers_as_they_stand(app_);
  }
  void parse(std::vector<std::string> argv) {
    app::refuse_empty_values(argv);
    std::reverse(argv.begin(), argv.end());  // as CLI11 wants them
    try {
      app_.parse(std::move(argv));
    } catch (const CLI::ParseError& error) {
      throw UsageError(app::explain(app_, error));
    }
  }
  std::string help() const { return app_.help(); }

  app::BenchFlags flags;

 private:
  CLI::App app_;
};

std::string spec_of(const PlannedRound& round) {
  return nlohmann::json{{"distribution", round.workload.distribution},
                        {"label", round.label},
                        {"parameters", round.workload.parameters},
                        {"seed", round.workload.seed}}
      .dump();
}

std::shared_ptr<BenchPlan> plan_bench(const std::vector<std::string>& argv,
                                      const std::vector<std::string>& command) {
  BenchCommand parser;
  parser.parse(argv);
  auto bench = std::make_shared<BenchPlan>();
  bench->flags = parser.flags;
  app::outputs_of(bench->flags);
  std::vector<std::string> whole = command;
  whole.insert(whole.end(), argv.begin(), argv.end());
  bench->plan = app::plan_of(bench->flags, whole);
  validate(bench->session());
  bench->visits = visits_of(bench->session());
  for (const PlannedRound& round : bench->session().rounds)
    bench->routings.push_back(std::make_shared<Routing>(round.workload, spec_of(round), round.label));
  return bench;
}

/// A round and the plan that it belongs to.
struct RoundView {
  std::shared_ptr<BenchPlan> plan;
  std::size_t index;
  const PlannedRound& round() const { return plan->session().rounds[index]; }
};

std::vector<RoundView> rounds_of(const std::shared_ptr<BenchPlan>& plan) {
  std::vector<RoundView> rounds;
  for (std::size_t i = 0; i < plan->routings.size(); ++i) rounds.push_back({plan, i});
  return rounds;
}

void add_parts(nb::module_& module) {
  nb::class_<RoundView>(module, "PlannedRound", "One routing to be measured.")
      .def_prop_ro("label", [](const RoundView& self) { return self.round().label; })
      .def_prop_ro("target_factor", [](const RoundView& self) { return self.round().target_factor; })
      .def_prop_ro("routing", [](const RoundView& self) { return self.plan->routings[self.index]; })
      .def("__repr__",
           [](const RoundView& self) { return "<epskew.PlannedRound " + self.round().label + ">"; });
  nb::class_<Visit>(module, "Visit", "A turn of one round.")
      .def_ro("round", &Visit::round)
      .def_ro("turn", &Visit::pass)
      .def_prop_ro("iterations", [](const Visit& self) { return self.plan.iterations; })
      .def_prop_ro("first", [](const Visit& self) { return self.plan.first_visit; })
      .def_prop_ro("last", [](const Visit& self) { return self.plan.last_visit; })
      .def("__repr__", [](const Visit& self) {
        return fmt::format("<epskew.Visit round {} turn {}: {} iterations>", self.plan.label, self.pass,
                           self.plan.iterations);
      });
}

}  // namespace

void add_plan(nb::module_& module) {
  add_parts(module);
  const auto of_session = [](auto member) {
    return [member](const BenchPlan& self) { return self.session().*member; };
  };
  const auto of_shape = [](auto member) {
    return [member](const BenchPlan& self) { return shape_of(self.session()).*member; };
  };
  const auto of_flags = [](auto member) {
    return [member](const BenchPlan& self) { return self.flags.*member; };
  };
  const auto of_round = [](auto member) {
    return [member](const BenchPlan& self) { return self.session().round.*member; };
  };
  nb::class_<BenchPlan>(module, "BenchPlan", "What a command line of `epskew bench` asks for, checked.")
      .def_prop_ro("argv", of_session(&SessionPlan::argv))
      .def_prop_ro("rounds", &rounds_of)
      .def_ro("visits", &BenchPlan::visits)
      .def_prop_ro("num_ranks", of_shape(&ExchangeShape::num_ranks))
      .def_prop_ro("num_experts", of_shape(&ExchangeShape::num_experts))
      .def_prop_ro("topk", of_shape(&ExchangeShape::topk))
      .def_prop_ro("hidden", of_shape(&ExchangeShape::hidden))
      .def_prop_ro("max_tokens", of_shape(&ExchangeShape::max_tokens))
      .def_prop_ro(
          "dispatch_format",
          [](const BenchPlan& self) { return std::string(name_of(self.session().options.dispatch)); })
      .def_prop_ro("combine_format",
                   [](const BenchPlan& self) { return std::string(name_of(self.session().options.combine)); })
      .def_prop_ro("variants", [](const BenchPlan& self) { return self.session().options.variants; })
      .def_prop_ro("micro_batches",
                   [](const BenchPlan& self) { return self.session().options.micro_batches; })
      .def_prop_ro("backend",
                   [](const BenchPlan& self) {
                     return self.flags.backend.empty() ? std::nullopt : std::optional(self.flags.backend);
                   })
      .def_prop_ro("iterations", of_round(&RoundPlan::iterations))
      .def_prop_ro("warmup", of_round(&RoundPlan::warmup))
      .def_prop_ro("passes", of_session(&SessionPlan::passes))
      .def_prop_ro("seed", of_round(&RoundPlan::seed))
      .def_prop_ro("timeout_s",
                   [](const BenchPlan& self) {
                     return static_cast<double>(self.session().options.timeout.count()) / 1e3;
                   })
      .def_prop_ro("flush_cache", of_round(&RoundPlan::flush_cache))
      .def_prop_ro("distribution", of_session(&SessionPlan::distribution))
      .def_prop_ro("imbalance_factors", of_session(&SessionPlan::factors))
      .def_prop_ro("trace", of_session(&SessionPlan::trace))
      .def_prop_ro("notes", [](const BenchPlan& self) { return self.plan.notes; })
      .def_prop_ro("json", of_flags(&app::BenchFlags::json))
      .def_prop_ro("csv", of_flags(&app::BenchFlags::csv))
      .def_prop_ro("html", of_flags(&app::BenchFlags::html));
  module.def("plan_bench", &plan_bench, nb::arg("argv"), nb::kw_only(),
             nb::arg("command") = std::vector<std::string>{"epskew", "bench"},
             "Parses and checks the flags of `epskew bench` and makes the routing of every round.");
  module.def(
      "bench_help", [] { return BenchCommand().help(); },
      "The help text of the flags that plan_bench takes.");
}

}  // namespace epskew::python
