#pragma once

/// The law file: what `fit` learned from a recording, to be run by `gen` and `bench`.
///
/// JSON, version 1:
///   {"format": "epskew-law", "version": 1, "level": "rank" | "expert", "family": "lognormal",
///    "parameters": {"sigma": 0.81}, "curve": [0.2, …, 2.9], "provenance": {…}}
/// Either `family` is one of family_names() and `parameters` holds its shape, or `curve` is there and decides
/// alone: relative loads, ascending, at (i - 1/2) / m for i = 1..m, so any fitted or recorded curve can be
/// run. `family` is then only a label. `provenance` is any JSON object and is kept as it is.

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "epskew/workload/spec.hpp"

namespace epskew {

struct LawFile {
  LawLevel level = LawLevel::rank;
  std::string family;
  std::map<std::string, double> parameters;  ///< finite
  std::vector<double> curve;                 ///< finite, >= 0, ascending, not all zero; or empty
  std::string provenance;                    ///< JSON text of an object, or empty
};

/// Throws UsageError naming the file and what is wrong in it.
LawFile read_law(const std::filesystem::path& file);

/// Throws UsageError where `file` cannot be written; a failure leaves no half-written file (see OutputFile).
void write_law(const LawFile& law, const std::filesystem::path& file);

/// Makes `spec` follow the law. Set spec.factor before: with a factor the law is bent to it, without one the
/// law's own shape is used. Throws UsageError for a family that is unknown and brings no curve, or lacks its
/// parameter.
void apply_law(const LawFile& law, WorkloadSpec& spec);

}  // namespace epskew
