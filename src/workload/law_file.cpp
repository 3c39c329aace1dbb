#include "epskew/workload/law_file.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "epskew/support/error.hpp"
#include "epskew/support/json_file.hpp"
#include "epskew/support/output_file.hpp"

namespace epskew {
namespace {

using nlohmann::json;

[[noreturn]] void refuse(const std::filesystem::path& file, const std::string& why) {
  throw UsageError(fmt::format("{} is not a law file ({}); write one with `epskew fit`", file.string(), why));
}

json parse(const std::filesystem::path& file) {
  json document = read_json_file(file);
  if (!document.is_object()) refuse(file, "it does not hold a JSON object");
  if (document.value("format", json()) != "epskew-law") refuse(file, "\"format\" is not \"epskew-law\"");
  if (document.value("version", json()) != 1) refuse(file, "\"version\" is not 1");
  return document;
}

LawLevel read_level(const json& document, const std::filesystem::path& file) {
  const json level = document.value("level", json());
  if (level == "rank") return LawLevel::rank;
  if (level == "expert") return LawLevel::expert;
  refuse(file, "\"level\" is neither \"rank\" nor \"expert\"");
}

double read_number(const json& value, const char* where, const std::filesystem::path& file) {
  if (!value.is_number() || !std::isfinite(value.get<double>())) {
    refuse(file, fmt::format("\"{}\" holds something else than finite numbers", where));
  }
  return value.get<double>();
}

std::vector<double> read_curve(const json& document, const std::filesystem::path& file) {
  const json values = document.value("curve", json::array());
  if (!values.is_array()) refuse(file, "\"curve\" is not an array");
  std::vector<double> curve;
  for (const json& value : values) curve.push_back(read_number(value, "curve", file));
  const bool loads = curve.empty() || (curve.front() >= 0.0 && curve.back() > 0.0);
  if (!loads || !std::is_sorted(curve.begin(), curve.end())) {
    refuse(file, "\"curve\" must ascend from 0 or more and not be all zero");
  }
  return curve;
}

}  // namespace

LawFile read_law(const std::filesystem::path& file) {
  const json document = parse(file);
  LawFile law;
  law.level = read_level(document, file);
  const json family = document.value("family", json());
  if (!family.is_string()) refuse(file, "\"family\" is not a string");
  law.family = family.get<std::string>();
  const json parameters = document.value("parameters", json::object());
  if (!parameters.is_object()) refuse(file, "\"parameters\" is not an object");
  for (const auto& [name, value] : parameters.items())
    law.parameters[name] = read_number(value, "parameters", file);
  law.curve = read_curve(document, file);
  if (document.contains("provenance")) law.provenance = dump_json(document["provenance"]);
  return law;
}

void write_law(const LawFile& law, const std::filesystem::path& file) {
  json document = {{"format", "epskew-law"},
                   {"version", 1},
                   {"level", law.level == LawLevel::rank ? "rank" : "expert"},
                   {"family", law.family},
                   {"parameters", law.parameters}};
  if (!law.curve.empty()) document["curve"] = law.curve;
  if (!law.provenance.empty()) document["provenance"] = json::parse(law.provenance);
  OutputFile("the law file", file.string()).write(dump_json(document, 2) + '\n');
}

void apply_law(const LawFile& law, WorkloadSpec& spec) {
  spec.level = law.level;
  spec.curve = law.curve;
  spec.curve_name = law.family;
  spec.shape.reset();
  if (!law.curve.empty()) return;
  const std::optional<Family> family = find_family(law.family);
  if (!family) {
    throw UsageError(
        fmt::format("the law's family \"{}\" is unknown and it brings no curve (known: {}); add a \"curve\"",
                    law.family, family_names()));
  }
  spec.family = *family;
  if (spec.factor || *family == Family::uniform) return;
  const auto shape = law.parameters.find(std::string(shape_name(*family)));
  if (shape == law.parameters.end()) {
    throw UsageError(
        fmt::format("the law lacks the parameter \"{}\" (the shape of {}); add it to \"parameters\"",
                    shape_name(*family), law.family));
  }
  spec.shape = shape->second;
}

}  // namespace epskew
