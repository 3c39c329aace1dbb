#include <algorithm>
#include <optional>

#include "epskew/report/link_model.hpp"
#include "report/html/sections.hpp"

namespace epskew {
namespace {

/// The round that the headline is about: of those with a cost, the one with the largest realised factor.
std::optional<std::size_t> costliest_round(const Record& record) {
  std::optional<std::size_t> found;
  for (std::size_t i = 0; i < record.rounds.size(); ++i) {
    if (!record.rounds[i].cost_of_imbalance) continue;
    if (!found || record.rounds[i].load.rank.factor > record.rounds[*found].load.rank.factor) found = i;
  }
  return found;
}

Value factor_of(const RoundRecord& round, const RoundSource& source) {
  if (round.target_factor) return {round.label, *round.target_factor, source.at("target_factor")};
  return decimal(round.load.rank.factor, 2, source.at("load/rank/factor"));
}

/// The rank that is slowest most often, and in which part of the iterations, ties shared.
struct PaceSetter {
  std::size_t rank = 0;
  double share = 0;
  bool clear() const { return share > 0.5; }
};

std::optional<PaceSetter> pace_setter(const RoundRecord& round) {
  const auto& phase = round.phase(Phase::dispatch_combine);
  if (!phase || !phase->slowest_rank.p50) return std::nullopt;  // shares of too few iterations say nothing
  const std::vector<double> shares = shares_slowest(phase->samples_us);
  if (shares.size() < 2) return std::nullopt;
  const auto most = std::max_element(shares.begin(), shares.end());
  return PaceSetter{static_cast<std::size_t>(most - shares.begin()), *most / phase->samples_us.iterations()};
}

Sentence cost_sentence(const RoundRecord& round, const RoundSource& source) {
  const CostRecord& cost = *round.cost_of_imbalance;
  const Value ratio = decimal(cost.ratio, 2, source.at("cost_of_imbalance/ratio"));
  const Value low = decimal(cost.low, 2, source.at("cost_of_imbalance/low"));
  const Value high = decimal(cost.high, 2, source.at("cost_of_imbalance/high"));
  Sentence out = {words("At imbalance factor "), factor_of(round, source)};
  if (cost.low <= 1 && cost.high >= 1) {
    out.push_back(words(", dispatch + combine shows no difference from balanced: "));
    out.insert(out.end(), {ratio, words("× ("), low, words("–"), high, words(")")});
    return out;
  }
  out.push_back(words(", dispatch + combine takes "));
  out.insert(out.end(), {ratio, words("× ("), low, words("–"), high, words(") as long as balanced")});
  if (const auto setter = pace_setter(round); setter && setter->clear()) {
    out.insert(out.end(),
               {words("; rank "), integer(static_cast<std::int64_t>(setter->rank)), words(" sets the pace")});
  }
  return out;
}

/// What to speak of: dispatch + combine, or the largest part of it that was measured.
std::optional<Phase> main_phase(const RoundRecord& round) {
  for (const Phase phase : {Phase::dispatch_combine, Phase::combine, Phase::dispatch, Phase::combine_send,
                            Phase::combine_recv, Phase::dispatch_recv, Phase::dispatch_send}) {
    if (round.phase(phase)) return phase;
  }
  return std::nullopt;
}

Sentence time_sentence(const RoundRecord& round, const RoundSource& source) {
  const auto which = main_phase(round);
  if (!which) return {words("Round " + round.label + " has no times")};
  const auto& phase = round.phase(*which);
  return {
      words("At imbalance factor "), factor_of(round, source), words(", " + phase_title(*which) + " takes "),
      amount(typical_time(round, *which), typical_source(source, round, *which)),
      words(phase->slowest_rank.p50 ? " µs on the slowest rank"
                                    : " µs on the slowest rank (a mean: too few iterations for a median)")};
}

/// Of a round without a cost: how its time compares with the balanced one, for which no interval is known.
Sentence ratio_sentence(const RoundRecord& round, const RoundSource& source, const RoundRecord& balanced,
                        const RoundSource& there) {
  const Phase pair = Phase::dispatch_combine;
  const auto time = typical_time(round, pair);
  const auto reference = typical_time(balanced, pair);
  if (&round == &balanced || !time || !reference || *reference <= 0) return time_sentence(round, source);
  const bool medians = round.phase(pair)->slowest_rank.p50 && balanced.phase(pair)->slowest_rank.p50;
  return {
      words("At imbalance factor "),
      factor_of(round, source),
      words(", dispatch + combine takes "),
      decimal(*time / *reference, 2),
      words("× as long as balanced: "),
      amount(time, typical_source(source, round, pair)),
      words(" µs on the slowest rank against "),
      amount(reference, typical_source(there, balanced, pair)),
      words(medians ? " µs (no interval)" : " µs (means: too few iterations for medians and an interval)")};
}

void add_reference(const NamedRecord& result, const RoundRecord& round, const RoundSource& source,
                   Sentence& out) {
  const auto& phase = round.phase(Phase::dispatch_combine);
  const auto balanced = balanced_source(result.record, source.result);
  if (!round.cost_of_imbalance || !phase || !balanced) return;
  const RoundSource there = *balanced;
  const auto& reference = result.record.rounds[there.round].phase(Phase::dispatch_combine);
  if (!reference) return;
  const std::string median = "timing/dispatch_combine/slowest_rank/p50";
  out.insert(out.end(),
             {words("The slowest rank needs "), amount(phase->slowest_rank.p50, source.at(median)),
              words(" µs against "), amount(reference->slowest_rank.p50, there.at(median)),
              words(" µs in the balanced round (medians of "), integer(phase->samples_us.iterations()),
              words(" iterations; the range is a 95 % interval). ")});
}

void add_pace(const RoundRecord& round, const RoundSource& source, Sentence& out) {
  const auto setter = pace_setter(round);
  if (!setter) return;
  const auto rank = static_cast<std::int64_t>(setter->rank);
  const Value share = decimal(100.0 * setter->share, 0);
  const Value iterations = integer(round.phase(Phase::dispatch_combine)->samples_us.iterations());
  out.insert(out.end(),
             {words(setter->clear() ? "Rank " : "No single rank sets the pace; rank "), integer(rank),
              words(setter->clear() ? " is the slowest in " : " is the slowest most often, in "), share,
              words(" % of "), iterations, words(" iterations")});
  const int hot = round.load.rank.hot;
  out.push_back(words(hot == rank ? "; it is the hot rank, with " : "; the hot rank is rank "));
  if (hot != rank) out.insert(out.end(), {integer(hot, source.at("load/rank/hot")), words(", with ")});
  out.insert(out.end(), {integer(round.load.rank.max, source.at("load/rank/max")),
                         words(" selections against a mean of "),
                         amount(round.load.rank.mean, source.at("load/rank/mean")), words(". ")});
}

void add_oracle(const NamedRecord& result, Sentence& out) {
  for (const RoundRecord& round : result.record.rounds) {
    for (const auto& verdict : {round.oracle.before, round.oracle.after}) {
      if (verdict && *verdict != "passed") {
        out.push_back(words("The oracle found a wrong result in round " + round.label + ": " + *verdict +
                            ". Its times mean nothing."));
        return;
      }
      if (!verdict) {
        out.push_back(words("Round " + round.label + " was not checked by the oracle."));
        return;
      }
    }
  }
  out.push_back(words("The oracle passed before and after every round."));
}

struct Statement {
  Sentence headline;
  Sentence support;
};

Statement state(const NamedRecord& result, std::size_t index) {
  const Record& record = result.record;
  const auto costliest = costliest_round(record);
  const RoundSource source{index, costliest.value_or(hottest_round(record))};
  const RoundRecord& round = record.rounds[source.round];
  Statement out;
  const auto balanced = balanced_source(record, index);
  out.headline = costliest  ? cost_sentence(round, source)
                 : balanced ? ratio_sentence(round, source, record.rounds[balanced->round], *balanced)
                            : time_sentence(round, source);
  add_reference(result, round, source, out.support);
  add_pace(round, source, out.support);
  add_oracle(result, out.support);
  if (record.simulation) out.support.push_back(words(" Simulated: " + simulation_text(record) + "."));
  if (record.emulation) out.support.push_back(words(" Emulation: " + emulation_text(record) + "."));
  return out;
}

/// What a result's own sentence says of its round with the largest factor.
struct StatedRatio {
  Value ratio;
  Value factor;
  std::optional<double> target_factor;
};

std::optional<StatedRatio> stated_ratio(const Record& record, std::size_t index) {
  const auto costliest = costliest_round(record);
  const RoundSource source{index, costliest.value_or(hottest_round(record))};
  const RoundRecord& round = record.rounds[source.round];
  const Value factor = factor_of(round, source);
  if (costliest) {
    return StatedRatio{decimal(round.cost_of_imbalance->ratio, 2, source.at("cost_of_imbalance/ratio")),
                       factor, round.target_factor};
  }
  const auto balanced = balanced_source(record, index);
  if (!balanced || balanced->round == source.round) return std::nullopt;
  const auto time = typical_time(round, Phase::dispatch_combine);
  const auto reference = typical_time(record.rounds[balanced->round], Phase::dispatch_combine);
  if (!time || !reference || *reference <= 0) return std::nullopt;
  return StatedRatio{decimal(*time / *reference, 2), factor, round.target_factor};
}

/// "At imbalance factor 3.0, dispatch + combine takes 1.73× to 1.95× as long as balanced in 2 results", where
/// all results were run at that factor.
Sentence common_sentence(Results results) {
  const Value count = integer(static_cast<std::int64_t>(results.size()));
  const Sentence general = {words("What imbalance costs, in "), count, words(" results")};
  std::vector<StatedRatio> ratios;
  for (std::size_t i = 0; i < results.size(); ++i) {
    const auto here = stated_ratio(results[i].record, i);
    if (!here || !here->target_factor || (i > 0 && here->target_factor != ratios.front().target_factor))
      return general;
    ratios.push_back(*here);
  }
  const auto [least, most] = std::minmax_element(
      ratios.begin(), ratios.end(),
      [](const StatedRatio& a, const StatedRatio& b) { return *a.ratio.exact < *b.ratio.exact; });
  return {words("At imbalance factor "),
          least->factor,
          words(", dispatch + combine takes "),
          least->ratio,
          words("× to "),
          most->ratio,
          words("× as long as balanced in "),
          count,
          words(" results")};
}

}  // namespace

void write_headline(Results results, Page& page) {
  if (results.size() == 1) {
    Statement only = state(results.front(), 0);
    page.headline = std::move(only.headline);
    page.support.push_back(std::move(only.support));
    return;
  }
  page.headline = common_sentence(results);
  for (std::size_t i = 0; i < results.size(); ++i) {
    Statement each = state(results[i], i);
    Sentence paragraph = {words(results[i].name + ": ")};
    paragraph.insert(paragraph.end(), each.headline.begin(), each.headline.end());
    paragraph.push_back(words(". "));
    paragraph.insert(paragraph.end(), each.support.begin(), each.support.end());
    page.support.push_back(std::move(paragraph));
  }
}

}  // namespace epskew
