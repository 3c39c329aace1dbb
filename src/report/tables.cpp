#include "epskew/report/tables.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <set>
#include <vector>

#include "epskew/measure/samples.hpp"
#include "epskew/measure/statistics.hpp"
#include "epskew/report/link_model.hpp"
#include "report/decimals.hpp"
#include "report/text_table.hpp"

namespace epskew {
namespace {

constexpr std::array halves = {Phase::dispatch_send, Phase::dispatch_recv, Phase::combine_send,
                               Phase::combine_recv};
constexpr double bar_per_unit = 20;  // characters for a cost of 1
constexpr std::size_t longest_bar = 60;

std::string row_label(const RoundRecord& round) {
  return fmt::format("{} ({:.2f})", round.label, realised_factor(round));
}

std::string time_text(double us) {
  return fmt::format("{:.{}f}", us, us < 10 ? 2 : 1);
}

std::string time_text(const std::optional<double>& us) {
  return us ? time_text(*us) : "-";
}

std::string interval_text(const RatioInterval& cost) {
  return fmt::format("{:.2f} [{:.2f}, {:.2f}]", cost.ratio, cost.low, cost.high);
}

std::string title_of(Phase phase) {
  return phase == Phase::dispatch_combine ? "dispatch+combine" : std::string(name_of(phase));
}

std::string cost_cell(const Record& record, const RoundRecord& round, Phase phase) {
  const RatioInterval* cost = round.cost_of(phase);
  if (cost != nullptr) return interval_text(*cost);
  // A burst's balanced steps have the target 1 too.
  const bool is_reference = &round == balanced_round(record.rounds);
  return is_reference && round.phase(phase) ? "1 (balanced)" : "-";
}

std::string rate_cell(const std::map<std::string, RateRecord>& rates, Phase phase) {
  const auto found = rates.find(std::string(name_of(phase)));
  if (found == rates.end() || !found->second.gb_per_s) return "-";
  const double rate = *found->second.gb_per_s;
  return fmt::format("{:.{}f}", rate, rate < 0.1 ? decimals_of(rate, 2) : 2);
}

std::vector<std::string> time_cells(const std::optional<PhaseRecord>& timed) {
  if (!timed) return std::vector<std::string>(6, "-");
  return {time_text(timed->over_ranks.mean),  time_text(timed->over_ranks.min),
          time_text(timed->over_ranks.max),   time_text(timed->slowest_rank.p50),
          time_text(timed->slowest_rank.p90), time_text(timed->slowest_rank.p99)};
}

bool is_measured(const Record& record, Phase phase) {
  return std::any_of(record.rounds.begin(), record.rounds.end(),
                     [phase](const RoundRecord& round) { return round.phase(phase).has_value(); });
}

std::string distribution_table(const Record& record) {
  TextTable table({"target (real)", "max", "min", "mean", "median", "std", "hot rank", "experts max/mean",
                   "feasible max", "uniform floor"});
  for (const RoundRecord& round : record.rounds) {
    const LoadMetrics& load = round.load.rank;
    table.row({row_label(round), fmt::format("{}", load.max), fmt::format("{}", load.min),
               fmt::format("{:.1f}", load.mean), fmt::format("{:.1f}", load.median),
               fmt::format("{:.1f}", load.std), fmt::format("{}", load.hot),
               fmt::format("{:.2f}", round.load.expert.factor),
               fmt::format("{:.2f}", round.workload.feasible_max),
               fmt::format("{:.2f}", round.workload.uniform_floor)});
  }
  return "\nPer-rank token distribution (selections a rank receives, after masking)\n" + table.render();
}

std::string node_words(const Record& record) {
  if (record.config.ranks_per_node)
    return fmt::format("a node is {} consecutive ranks", *record.config.ranks_per_node);
  return "a node is a set of ranks that share memory";
}

// Imbalance as the network between the nodes sees it, and the skew that is left inside the hot node.
std::string node_table(const Record& record) {
  TextTable table(
      {"target (real)", "max", "min", "mean", "factor", "hot node", "hot rank x its node's mean"});
  bool any = false;
  const std::vector<int> nodes = nodes_of(record);
  for (const RoundRecord& round : record.rounds) {
    if (!round.node_load || nodes.empty()) continue;
    any = true;
    const LoadMetrics& load = *round.node_load;
    const auto hot_rank = static_cast<std::size_t>(round.load.rank.hot);
    const int node = nodes[hot_rank];
    const auto ranks = static_cast<double>(std::count(nodes.begin(), nodes.end(), node));
    const double mean = static_cast<double>(load.loads[static_cast<std::size_t>(node)]) / ranks;
    table.row({row_label(round), fmt::format("{}", load.max), fmt::format("{}", load.min),
               fmt::format("{:.1f}", load.mean), fmt::format("{:.2f}", load.factor),
               fmt::format("{}", load.hot),
               mean > 0 ? fmt::format("{:.2f}", static_cast<double>(round.load.rank.max) / mean) : "-"});
  }
  return any ? fmt::format("\nPer-node token distribution ({})\n{}", node_words(record), table.render()) : "";
}

std::string link_table(const Record& record) {
  if (!record.topology || record.topology->links.empty()) return "";
  TextTable table({"from", "to", "one way (us)", "GB/s"});
  const auto& hosts = record.topology->hosts;
  for (const LinkRecord& link : record.topology->links) {
    table.row({hosts[static_cast<std::size_t>(link.from)], hosts[static_cast<std::size_t>(link.to)],
               fmt::format("{:.1f}", link.latency_us), fmt::format("{:.3f}", link.gb_per_s)});
  }
  return "\nLinks, measured before the run\n" + table.render();
}

/// What a reader must know about every time.
const char* kind_of_time(const Record& record) {
  if (record.simulation) return ", simulated";
  return record.emulation ? ", emulation" : "";
}

/// "model" columns: MB of the busiest link direction, and their time.
std::vector<std::string> model_cells(const RoundRecord& round, Phase phase) {
  const auto found = round.link_model.find(std::string(name_of(phase)));
  if (found == round.link_model.end()) return {"-", "-"};
  return {fmt::format("{:.2f}", static_cast<double>(found->second.bytes) / 1e6), time_text(found->second.us)};
}

std::string phase_table(const Record& record, Phase phase) {
  const bool models = record.link_assumption.has_value();
  std::vector<std::string> columns = {
      "target (real)",    "avg", "min", "max", "p50", "p90", "p99", "send_logical", "hot_receive", "wire",
      "cost of imbalance"};
  if (models) columns.insert(columns.end(), {"MB", "us"});
  TextTable table(columns);
  table.group("over ranks", 1, 3);
  table.group("slowest rank", 4, 3);
  table.group("GB/s", 7, 3);
  table.group("x balanced p50 [95 %]", 10, 1);
  if (models) table.group("link model", 11, 2);
  for (const RoundRecord& round : record.rounds) {
    std::vector<std::string> cells = {row_label(round)};
    for (std::string& cell : time_cells(round.phase(phase))) cells.push_back(std::move(cell));
    for (const auto* rates :
         {&round.bandwidth.send_logical, &round.bandwidth.hot_receive, &round.bandwidth.wire}) {
      cells.push_back(rate_cell(*rates, phase));
    }
    cells.push_back(cost_cell(record, round, phase));
    if (models) {
      for (std::string& cell : model_cells(round, phase)) cells.push_back(std::move(cell));
    }
    table.row(std::move(cells));
  }
  return fmt::format("\n{} (us{})\n{}", title_of(phase), kind_of_time(record), table.render());
}

std::string halves_table(const Record& record) {
  TextTable table({"target (real)", "avg", "min", "max", "p50", "p90", "p99", "cost of imbalance"});
  table.group("over ranks", 1, 3);
  table.group("slowest rank", 4, 3);
  table.group("x balanced p50 [95 %]", 7, 1);
  bool any = false;
  for (const Phase phase : halves) {
    if (!is_measured(record, phase)) continue;
    any = true;
    table.heading(title_of(phase));
    for (const RoundRecord& round : record.rounds) {
      std::vector<std::string> cells = {"  " + row_label(round)};
      for (std::string& cell : time_cells(round.phase(phase))) cells.push_back(std::move(cell));
      cells.push_back(cost_cell(record, round, phase));
      table.row(std::move(cells));
    }
  }
  return any ? fmt::format("\nSend and receive apart (us{})\n{}", kind_of_time(record), table.render()) : "";
}

/// What the library's own kernels take, where something saw them; iterations of their own.
std::string kernel_table(const Record& record) {
  TextTable table({"target (real)", "avg", "min", "max", "p50", "p90", "p99", "iterations"});
  table.group("over ranks", 1, 3);
  table.group("slowest rank", 4, 3);
  bool any = false;
  for (const Phase phase : all_phases()) {
    bool first = true;
    for (const RoundRecord& round : record.rounds) {
      const auto& timed = round.kernels(phase);
      if (!timed) continue;
      if (first) table.heading(title_of(phase));
      first = false;
      any = true;
      std::vector<std::string> cells = {"  " + row_label(round)};
      for (std::string& cell : time_cells(timed)) cells.push_back(std::move(cell));
      cells.push_back(fmt::format("{}", timed->samples_us.iterations()));
      table.row(std::move(cells));
    }
  }
  return any ? "\nKernels alone, without launches and the host (us)\n" + table.render() : "";
}

std::string cost_chart(const Record& record) {
  std::string text;
  for (const RoundRecord& round : record.rounds) {
    if (!round.cost_of_imbalance) continue;
    const CostRecord& cost = *round.cost_of_imbalance;
    const auto length = static_cast<std::size_t>(std::max(0.0, cost.ratio * bar_per_unit + 0.5));
    text += fmt::format("  {:<16} {:>19}x  {}{}\n", row_label(round),
                        interval_text({cost.ratio, cost.low, cost.high}),
                        std::string(std::min(length, longest_bar), '#'), length > longest_bar ? ">" : "");
  }
  if (text.empty()) return "";
  if (record.config.passes == 1)
    text +=
        "  warning: measured in one pass, so drift between rounds is not in these intervals (--passes 4)\n";
  return "\nWhat imbalance costs: slowest-rank p50 of dispatch+combine, balanced = 1.00\n" + text;
}

// Why there is a "-", each reason once.
std::string footnotes(const Record& record) {
  std::set<std::string> notes;
  for (const RoundRecord& round : record.rounds) {
    for (const Phase phase : all_phases()) {
      const auto& timed = round.phase(phase);
      if (!timed) {
        notes.insert(fmt::format("{} is not measured by backend {}", title_of(phase), record.config.backend));
        continue;
      }
      const auto need = [&](const std::optional<double>& value, const char* name, double q) {
        if (!value)
          notes.insert(fmt::format("{} needs {} iterations (--iterations)", name, min_samples_for(q)));
      };
      need(timed->slowest_rank.p50, "p50", 0.5);
      need(timed->slowest_rank.p90, "p90", 0.9);
      need(timed->slowest_rank.p99, "p99", 0.99);
    }
    if (!round.cost_of_imbalance && round.phase_costs.empty() && round.target_factor != 1.0) {
      notes.insert("the cost of imbalance needs a balanced round and 5 iterations (--iterations)");
    }
  }
  std::string text;
  for (const std::string& note : notes) text += "  - " + note + '\n';
  return text.empty() ? "" : "\nNot measured\n" + text;
}

}  // namespace

std::string passes_text(const ConfigRecord& config) {
  if (config.passes == 1) return fmt::format("after {} warm-up", config.warmup);
  return fmt::format("in {} passes, {} warm-up in each", config.passes, config.warmup);
}

std::string describe_run(const Record& record) {
  const ConfigRecord& config = record.config;
  std::string text = fmt::format(
      "epskew {}: backend {}, {} ranks, up to {} tokens a rank, hidden {}, top-{} of {} experts\n"
      "dispatch {}, combine {}; {} iterations a timing mode {}; caches {}; seed {}\n",
      record.tool.version, config.backend, config.num_ranks, config.max_tokens, config.hidden, config.topk,
      config.num_experts, config.dispatch_format, config.combine_format, config.iterations,
      passes_text(config), config.flush_cache ? "flushed" : "not flushed", config.seed);
  if (!config.variants.empty()) {
    text += "variants:";
    for (const auto& [name, value] : config.variants) text += fmt::format(" {}={}", name, value);
    text += '\n';
  }
  if (config.trace) text += "replay of " + *config.trace + '\n';
  if (record.emulation) text += "emulation: " + emulation_text(record) + '\n';
  if (record.simulation) text += "simulated: " + simulation_text(record) + '\n';
  if (record.link_assumption) text += "link model: " + link_model_text(record) + '\n';
  return text;
}

std::string describe_ranks(const RoundRecord& round) {
  TextTable table(
      {"rank", "load", "x mean", "messages", "mean", "min", "max", "dispatch", "combine", "slowest in"});
  table.group("dispatch+combine", 4, 3);
  table.group("mean", 7, 2);
  const auto& whole = round.phase(Phase::dispatch_combine);
  const auto mean_of = [&](Phase phase, std::size_t rank) {
    const auto& timed = round.phase(phase);
    return timed ? time_text(timed->per_rank.mean[rank]) : std::string("-");
  };
  const auto& loads = round.load.rank;
  const std::vector<double> slowest = whole ? shares_slowest(whole->samples_us) : std::vector<double>();
  for (std::size_t rank = 0; rank < loads.loads.size(); ++rank) {
    const double relative = loads.mean > 0 ? static_cast<double>(loads.loads[rank]) / loads.mean : 1;
    std::vector<std::string> cells = {fmt::format("{}", rank), fmt::format("{}", loads.loads[rank]),
                                      fmt::format("{:.2f}", relative),
                                      fmt::format("{}", round.load.message.loads[rank])};
    if (whole) {
      for (const double us :
           {whole->per_rank.mean[rank], whole->per_rank.min[rank], whole->per_rank.max[rank]}) {
        cells.push_back(time_text(us));
      }
    } else {
      cells.insert(cells.end(), 3, "-");
    }
    cells.push_back(mean_of(Phase::dispatch, rank));
    cells.push_back(mean_of(Phase::combine, rank));
    cells.push_back(slowest.empty()
                        ? "-"
                        : fmt::format("{:.0f} %", 100.0 * slowest[rank] / whole->samples_us.iterations()));
    table.row(std::move(cells));
  }
  return fmt::format("\nRound {} by rank (us)\n{}", round.label, table.render());
}

std::string describe_round(const RoundRecord& round) {
  const auto& whole = round.phase(Phase::dispatch_combine);
  const std::string time = whole && whole->slowest_rank.p50
                               ? fmt::format("dispatch+combine p50 {:.1f} us", *whole->slowest_rank.p50)
                               : std::string("too few iterations for a p50");
  return fmt::format("{:<16} hot rank {} at {} of mean {:.1f} selections, {}, oracle {}\n", row_label(round),
                     round.load.rank.hot, round.load.rank.max, round.load.rank.mean, time,
                     round.oracle.after.value_or("not run"));
}

std::string tables(const Record& record) {
  return distribution_table(record) + node_table(record) + link_table(record) +
         phase_table(record, Phase::dispatch_combine) + phase_table(record, Phase::dispatch) +
         phase_table(record, Phase::combine) + halves_table(record) + kernel_table(record) +
         cost_chart(record) + footnotes(record);
}

}  // namespace epskew
