#include "backends/cpu/variants.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "epskew/support/error.hpp"

namespace epskew::cpu {
namespace {

constexpr std::array<std::string_view, 3> dispatch_names = {"direct", "dedup", "rank_major"};
constexpr std::array<std::string_view, 3> combine_names = {"pull", "push", "prereduce"};
constexpr std::array<std::string_view, 2> output_names = {"in_place", "copied"};
constexpr std::array<std::string_view, 2> pages_names = {"large", "small"};

template <class Enum, std::size_t N>
Enum parse_choice(const std::string& name, const std::string& value,
                  const std::array<std::string_view, N>& choices) {
  const auto found = std::find(choices.begin(), choices.end(), value);
  if (found == choices.end()) {
    throw UsageError(fmt::format("variant {}={} is not known to --backend cpu; choose one of {}", name, value,
                                 fmt::join(choices, ", ")));
  }
  return static_cast<Enum>(found - choices.begin());
}

int parse_delay(const std::string& text) {
  int value = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 0 || value > 1'000'000) {
    throw UsageError(fmt::format(
        "variant inject_delay_us={} is not a pause in microseconds; give a number from 0 to 1000000", text));
  }
  return value;
}

}  // namespace

Variants parse_variants(const ExchangeOptions& options) {
  Variants variants;
  for (const auto& [name, value] : options.variants) {
    if (name == "dispatch") {
      variants.dispatch = parse_choice<DispatchVariant>(name, value, dispatch_names);
    } else if (name == "combine") {
      variants.combine = parse_choice<CombineVariant>(name, value, combine_names);
    } else if (name == "expert_output") {
      variants.expert_output = parse_choice<ExpertOutput>(name, value, output_names);
    } else if (name == "pages") {
      variants.pages = parse_choice<Pages>(name, value, pages_names);
    } else if (name == "inject_delay_us") {
      variants.delay_us = parse_delay(value);
    } else {
      throw UsageError(
          fmt::format("--backend cpu has no variant '{}' (it knows dispatch, combine, expert_output, pages "
                      "and inject_delay_us); leave it out",
                      name));
    }
  }
  if (options.combine == CombineFormat::logfmt10 && variants.combine != CombineVariant::pull) {
    throw UsageError(
        "--use-logfmt goes with variant combine=pull only (coded results cannot be summed before they are "
        "decoded); leave out one of the two");
  }
  return variants;
}

WireCopies copies_of(const Variants& variants) {
  const bool once_a_rank = variants.dispatch != DispatchVariant::direct;
  const bool summed = variants.combine == CombineVariant::prereduce;
  return {once_a_rank ? Copies::messages : Copies::selections,
          summed ? Copies::messages : Copies::selections};
}

}  // namespace epskew::cpu
