#include "report/html/sections.hpp"

namespace epskew {
namespace {

Value oracle_word(const std::optional<std::string>& verdict) {
  return words(verdict.value_or("not run"));
}

Table round_table(Results results) {
  Table table;
  table.caption = "Load of ranks, after masking";
  table.columns = {"result",
                   "round",
                   "target",
                   "factor",
                   "max",
                   "min",
                   "mean",
                   "median",
                   "std",
                   "balancedness",
                   "MaxVio",
                   "CV",
                   "Gini",
                   "entropy",
                   "hot rank",
                   "expert factor",
                   "message factor",
                   "feasible max",
                   "oracle before",
                   "oracle after",
                   "routing digest"};
  for_each_round(results, [&](const RoundSource& source, const NamedRecord& result,
                              const RoundRecord& round) {
    const LoadMetrics& load = round.load.rank;
    const auto at = [&](const char* member) { return source.at(std::string("load/rank/") + member); };
    table.rows.push_back({words(result.name),
                          words(round.label),
                          round.target_factor ? decimal(*round.target_factor, 3, source.at("target_factor"))
                                              : amount(std::nullopt),
                          decimal(load.factor, 4, at("factor")),
                          integer(load.max, at("max")),
                          integer(load.min, at("min")),
                          decimal(load.mean, 1, at("mean")),
                          decimal(load.median, 1, at("median")),
                          decimal(load.std, 1, at("std")),
                          decimal(load.balancedness, 3, at("balancedness")),
                          decimal(load.max_vio, 3, at("max_vio")),
                          decimal(load.cv, 3, at("cv")),
                          decimal(load.gini, 3, at("gini")),
                          decimal(load.entropy, 3, at("entropy")),
                          integer(load.hot, at("hot")),
                          decimal(round.load.expert.factor, 3, source.at("load/expert/factor")),
                          decimal(round.load.message.factor, 3, source.at("load/message/factor")),
                          decimal(round.workload.feasible_max, 3, source.at("workload/feasible_max")),
                          oracle_word(round.oracle.before),
                          oracle_word(round.oracle.after),
                          words(round.workload.digest)});
  });
  drop_single_result(results, table);
  return table;
}

/// Of the calls, or of the library's kernels alone; empty where these were not seen.
Table time_table(Results results, bool kernels) {
  Table table;
  table.caption =
      kernels ? "Kernels alone, microseconds: the ranks' means, then the slowest rank of every iteration"
              : "Times in microseconds: the ranks' means, then the slowest rank of every iteration";
  table.columns = {"result",       "phase",        "round",       "mean of ranks", "min of ranks",
                   "max of ranks", "slowest mean", "slowest min", "slowest p50",   "slowest p90",
                   "slowest p99",  "slowest max",  "hot rank p50"};
  for (const Phase which : all_phases()) {
    for_each_round(results, [&](const RoundSource& source, const NamedRecord& result,
                                const RoundRecord& round) {
      const auto& phase = kernels ? round.kernels(which) : round.phase(which);
      if (!phase) return;
      const auto at = [&](const char* path) {
        return source.at((kernels ? "kernel_timing/" : "timing/") + std::string(name_of(which)) + "/" + path);
      };
      const Summary& slowest = phase->slowest_rank;
      table.rows.push_back(
          {words(result.name), words(phase_title(which)), words(round.label),
           amount(phase->over_ranks.mean, at("over_ranks/mean")),
           amount(phase->over_ranks.min, at("over_ranks/min")),
           amount(phase->over_ranks.max, at("over_ranks/max")), amount(slowest.mean, at("slowest_rank/mean")),
           amount(slowest.min, at("slowest_rank/min")), amount(slowest.p50, at("slowest_rank/p50")),
           amount(slowest.p90, at("slowest_rank/p90")), amount(slowest.p99, at("slowest_rank/p99")),
           amount(slowest.max, at("slowest_rank/max")), amount(phase->hot_rank.p50, at("hot_rank/p50"))});
    });
  }
  drop_single_result(results, table);
  return table;
}

/// Empty where no result has a model.
Table model_table(Results results) {
  Table table;
  table.caption =
      "Link model: bytes of the busiest link direction over an assumed bandwidth; computed, not measured";
  table.columns = {"result",
                   "phase",
                   "round",
                   "busiest link, bytes (model)",
                   "assumed GB/s (model)",
                   "link time, µs (model)"};
  for (const Phase which : plotted_phases(results)) {
    const std::string phase(name_of(which));
    for_each_round(results,
                   [&](const RoundSource& source, const NamedRecord& result, const RoundRecord& round) {
                     const auto found = round.link_model.find(phase);
                     if (found == round.link_model.end() || !result.record.link_assumption) return;
                     const std::string path = "link_model/" + phase + "/";
                     table.rows.push_back({words(result.name), words(phase_title(which)), words(round.label),
                                           integer(found->second.bytes, source.at(path + "bytes")),
                                           decimal(result.record.link_assumption->gb_per_s, 1),
                                           decimal(found->second.us, 2, source.at(path + "us"))});
                   });
  }
  drop_single_result(results, table);
  return table;
}

}  // namespace

Section table_section(Results results) {
  Section section{"tables",
                  "Tables",
                  "A dash is a value that was not measured or that the samples cannot support.",
                  {},
                  {round_table(results), time_table(results, false)},
                  {}};
  Table kernels = time_table(results, true);
  if (!kernels.rows.empty()) section.tables.push_back(std::move(kernels));
  Table model = model_table(results);
  if (!model.rows.empty()) section.tables.push_back(std::move(model));
  return section;
}

}  // namespace epskew
