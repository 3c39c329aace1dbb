#include <fmt/format.h>
#include <fmt/ranges.h>

#include "epskew/report/link_model.hpp"
#include "epskew/report/tables.hpp"
#include "report/html/sections.hpp"
#include "report/html/shell.hpp"

namespace epskew {
namespace {

std::string size_text(std::int64_t bytes) {
  const auto size = static_cast<double>(bytes);
  return size < 0x1p30 ? fmt::format("{:.1f} MiB", size / 0x1p20) : fmt::format("{:.1f} GiB", size / 0x1p30);
}

template <class Map>
std::string pairs(const Map& map) {
  std::string out;
  for (const auto& [name, value] : map) out += fmt::format("{}{} {}", out.empty() ? "" : ", ", name, value);
  return out;
}

void add(FactList& list, const std::string& name, const std::string& text) {
  if (!text.empty()) list.facts.push_back({name, text});
}

void add_machine(const Record& record, FactList& list) {
  add(list, "made", record.created + " by " + record.tool.name + " " + record.tool.version);
  add(list, "host",
      record.host.name + ", " + record.host.system + ", " + size_text(record.host.memory_bytes));
  add(list, "CPU",
      fmt::format("{}, {} usable cores, last-level caches {}", record.cpu.model, record.cpu.logical_cores,
                  size_text(record.cpu.llc_bytes)));
  add(list, "GPU", fmt::format("{}", fmt::join(record.gpu, "; ")));
  add(list, "GPU driver", record.driver.value_or(""));
  add(list, "libraries", pairs(record.libraries));
  add(list, "build", fmt::format("{}, {}, {}", record.build.compiler, record.build.type, record.build.flags));
  add(list, "commit", record.build.commit.value_or(""));
}

void add_run(const ConfigRecord& config, FactList& list) {
  add(list, "backend", config.backend);
  add(list, "variants", pairs(config.variants));
  add(list, "backend facts", fmt::format("{}", fmt::join(config.backend_facts, "; ")));
  add(list, "shape",
      fmt::format("{} ranks, {} experts, top-{}, hidden {}, tokens per rank {}", config.num_ranks,
                  config.num_experts, config.topk, config.hidden, fmt::join(config.tokens_per_rank, " ")));
  add(list, "formats", "dispatch " + config.dispatch_format + ", combine " + config.combine_format);
  add(list, "workload",
      fmt::format("{}, factors {}, {} masked entries a rank, seed {}", config.distribution,
                  fmt::join(config.imbalance_factors, " "), config.num_masked, config.seed));
  add(list, "trace", config.trace.value_or(""));
  add(list, "iterations",
      fmt::format("{} timed {}, per timing mode", config.iterations, passes_text(config)));
  add(list, "cache",
      config.flush_cache ? size_text(config.flush_bytes) + " written before each iteration" : "not flushed");
  add(list, "clock",
      config.clock.resolution_ns
          ? fmt::format("{}, resolution {} ns", config.clock.source, *config.clock.resolution_ns)
          : config.clock.source);
}

}  // namespace

Section provenance_section(Results results) {
  Section section{"provenance",
                  "Provenance",
                  "The command repeats the run; the routing digests in the tables tell whether it did.",
                  {},
                  {},
                  {}};
  for (const NamedRecord& result : results) {
    FactList list;
    list.heading = result.name;
    list.command = command_line(result.record.argv);
    add_machine(result.record, list);
    add_run(result.record.config, list);
    add(list, "emulation", emulation_text(result.record));
    add(list, "simulated", simulation_text(result.record));
    add(list, "link model", link_model_text(result.record));
    add(list, "schema version", result.record.schema_version);
    section.facts.push_back(std::move(list));
  }
  return section;
}

}  // namespace epskew
