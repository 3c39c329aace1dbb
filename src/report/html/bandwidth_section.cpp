#include <fmt/format.h>

#include <array>
#include <utility>

#include "report/html/sections.hpp"

namespace epskew {
namespace {

using Rates = std::map<std::string, RateRecord>;

constexpr std::array<std::pair<const char*, Rates BandwidthRecord::*>, 3> quantities = {{
    {"send_logical", &BandwidthRecord::send_logical},
    {"hot_receive", &BandwidthRecord::hot_receive},
    {"wire", &BandwidthRecord::wire},
}};

void add_rows(const RoundSource& source, const NamedRecord& result, const RoundRecord& round, Phase which,
              Table& table) {
  const std::string phase{name_of(which)};
  for (const auto& [name, member] : quantities) {
    const Rates& rates = round.bandwidth.*member;
    const auto rate = rates.find(phase);
    if (rate == rates.end()) continue;
    const std::string path = fmt::format("bandwidth/{}/{}/", name, phase);
    table.rows.push_back({words(result.name), words(phase_title(which)), words(name),
                          words(round_name(round)),
                          amount(rate->second.gb_per_s, source.at(path + "gb_per_s")),
                          integer(rate->second.bytes, source.at(path + "bytes"))});
  }
}

}  // namespace

Section bandwidth_section(Results results) {
  Figure figure;
  figure.id = "bandwidth-plot";
  figure.title = "Bandwidth, by what it counts";
  figure.note =
      "send_logical: selections times bytes a selection, local ones included (the number DeepEP prints). "
      "hot_receive: "
      "bytes the hot rank takes in. wire: bytes that leave a rank. Each over the slowest rank's median time.";
  figure.plot = {
      {"kind", "bars"},
      {"roles", {{"category", "round"}, {"value", "GB/s"}, {"series", "result"}, {"facet", "quantity"}}},
      {"select", {"phase"}},
      {"xTitle", "GB/s"}};
  figure.table.caption = "Bandwidth by name";
  figure.table.columns = {"result", "phase", "quantity", "round", "GB/s", "bytes"};
  for (const Phase phase : plotted_phases(results)) {
    for_each_round(results,
                   [&](const RoundSource& source, const NamedRecord& result, const RoundRecord& round) {
                     add_rows(source, result, round, phase, figure.table);
                   });
  }
  drop_single_result(results, figure.table);
  return {"bandwidth", "Bandwidth", "", {std::move(figure)}};
}

}  // namespace epskew
