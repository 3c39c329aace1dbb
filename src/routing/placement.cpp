#include "epskew/routing/placement.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <numeric>

#include "epskew/support/error.hpp"
#include "epskew/support/json_file.hpp"
#include "epskew/support/random.hpp"

namespace epskew {
namespace {

using nlohmann::json;

constexpr std::uint64_t placement_stream = 0x706c6163;  // "plac"

[[noreturn]] void refuse(const std::filesystem::path& file, const std::string& why) {
  throw UsageError(
      fmt::format("{} is not a placement file ({}); it must hold {{\"format\": \"epskew-placement\", "
                  "\"version\": 1, \"slot_of_expert\": [...]}}",
                  file.string(), why));
}

}  // namespace

void validate(const Placement& placement, int num_experts, const std::string& what) {
  const auto size = static_cast<std::size_t>(num_experts);
  if (placement.slot_of_expert.size() != size) {
    throw UsageError(fmt::format("{} places {} experts (the routing has {}); give one slot per expert", what,
                                 placement.slot_of_expert.size(), num_experts));
  }
  std::vector<bool> taken(size, false);
  for (std::size_t expert = 0; expert < size; ++expert) {
    const std::int32_t slot = placement.slot_of_expert[expert];
    if (slot < 0 || slot >= num_experts || taken[static_cast<std::size_t>(slot)]) {
      throw UsageError(
          fmt::format("{} puts expert {} on slot {} (not in 0..{}, or taken already); use every slot once",
                      what, expert, slot, num_experts - 1));
    }
    taken[static_cast<std::size_t>(slot)] = true;
  }
}

Placement contiguous_placement(int num_experts) {
  Placement placement{std::vector<std::int32_t>(static_cast<std::size_t>(num_experts))};
  std::iota(placement.slot_of_expert.begin(), placement.slot_of_expert.end(), 0);
  return placement;
}

Placement spread_placement(int num_experts, int num_ranks) {
  EPSKEW_EXPECT(num_ranks > 0 && num_experts % num_ranks == 0);
  Placement placement = contiguous_placement(num_experts);
  for (std::int32_t& slot : placement.slot_of_expert) {
    slot = slot % num_ranks * (num_experts / num_ranks) + slot / num_ranks;
  }
  return placement;
}

Placement random_placement(int num_experts, std::uint64_t seed) {
  Placement placement = contiguous_placement(num_experts);
  RandomStream random(seed, placement_stream);
  shuffle(placement.slot_of_expert, random);
  return placement;
}

Placement read_placement(const std::filesystem::path& file, int num_experts) {
  const json document = read_json_file(file);
  if (!document.is_object()) refuse(file, "it does not hold a JSON object");
  if (document.value("format", json()) != "epskew-placement")
    refuse(file, "\"format\" is not \"epskew-placement\"");
  if (document.value("version", json()) != 1) refuse(file, "\"version\" is not 1");
  const json slots = document.value("slot_of_expert", json());
  if (!slots.is_array()) refuse(file, "\"slot_of_expert\" is not an array");
  Placement placement;
  for (const json& slot : slots) {
    if (!slot.is_number_integer() || slot < 0 || slot >= num_experts) {
      refuse(file,
             fmt::format("\"slot_of_expert\" holds something else than integers in 0..{}", num_experts - 1));
    }
    placement.slot_of_expert.push_back(slot.get<std::int32_t>());
  }
  validate(placement, num_experts, file.string());
  return placement;
}

}  // namespace epskew
