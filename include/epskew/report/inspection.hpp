#pragma once

/// What `inspect` shows: the inspection of a recording, and of a routing file as it stands.

#include <optional>
#include <string>
#include <vector>

#include "epskew/routing/load.hpp"
#include "epskew/trace/inspection.hpp"
#include "epskew/trace/routing_file.hpp"

namespace epskew {

struct InspectionReport {
  Trace trace;  ///< layers without their tokens and steps would do; only the facts and notes are shown
  std::vector<LayerInspection> layers;
  std::optional<RoutingFile> routing;  ///< set where the file is a routing file
  std::optional<RoutingLoad> load;     ///< of `routing`, on its own ranks
};

/// Tables for a terminal: a line a layer, then mean and worst over the layers for experts and every number of
/// ranks.
std::string inspection_text(const InspectionReport& report);

/// JSON; the fields are those of the structs, schema/README.md describes the file.
std::string inspection_json(const InspectionReport& report);

}  // namespace epskew
