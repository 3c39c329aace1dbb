#pragma once

/// Where a result of a bench program comes from, as in the result files of `epskew bench`.

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "epskew/report/provenance.hpp"

namespace epskew::bench {

/// When, by which build (with its commit) and with which driver: members of a JSON object.
inline nlohmann::ordered_json origin() {
  using nlohmann::ordered_json;
  const auto or_null = [](const std::optional<std::string>& text) {
    return text ? ordered_json(*text) : ordered_json();
  };
  Record record;
  add_provenance(record);
  return {{"created", record.created},
          {"host", record.host.system},
          {"driver", or_null(record.driver)},
          {"build",
           {{"compiler", record.build.compiler},
            {"flags", record.build.flags},
            {"type", record.build.type},
            {"commit", or_null(record.build.commit)}}}};
}

}  // namespace epskew::bench
