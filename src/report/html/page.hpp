#pragma once

/// What a page says, before it is HTML: plain values that the builders fill in and write_page() writes out.

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

namespace epskew {

/// A piece of text; where it shows a number, also the number it was rounded from.
struct Value {
  std::string text;
  std::optional<double> exact{};  ///< empty: words, or a number that was not measured
  /// "<result index>:<JSON pointer>" of the number in the result file; empty for words and for what the page
  /// derives.
  std::string source{};
  bool missing = false;  ///< not measured
};

using Sentence = std::vector<Value>;

struct Table {
  std::string caption;
  std::vector<std::string> columns;
  std::vector<std::vector<Value>> rows;  ///< each as long as `columns`
};

/// A plot and the table it is drawn from: the script reads the cells, so picture and table cannot differ.
struct Figure {
  std::string id;
  std::string title;
  std::string note;
  nlohmann::json plot;  ///< kind and the columns' roles, see assets/figures.js
  Table table;
};

struct Fact {
  std::string name;
  std::string text;
};

struct FactList {
  std::string heading;  ///< may be empty
  std::vector<Fact> facts;
  std::string command;  ///< shown as a block of its own where not empty
};

struct Section {
  std::string id;
  std::string heading;
  std::string lead;
  std::vector<Figure> figures{};
  std::vector<Table> tables{};
  std::vector<FactList> facts{};
};

struct Page {
  std::string title;
  std::string eyebrow;
  Sentence headline;
  std::vector<Sentence> support;  ///< one paragraph each, under the headline
  std::vector<Section> sections;
};

}  // namespace epskew
