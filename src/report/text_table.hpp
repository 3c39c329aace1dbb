#pragma once

/// Aligned text: the first column to the left, the others to the right.

#include <cstddef>
#include <string>
#include <vector>

namespace epskew {

class TextTable {
 public:
  /// `heads` name the columns.
  explicit TextTable(std::vector<std::string> heads);

  /// A title above the columns [first, first + count).
  void group(std::string title, std::size_t first, std::size_t count);
  /// Precondition: as many cells as columns.
  void row(std::vector<std::string> cells);
  /// A line of its own between rows.
  void heading(std::string text);
  /// Every line ends in a newline and has no trailing blanks.
  std::string render() const;

 private:
  struct Group {
    std::string title;
    std::size_t first;
    std::size_t count;
  };
  struct Line {
    bool is_heading;
    std::vector<std::string> cells;
  };
  std::vector<std::size_t> widths() const;

  std::vector<std::string> heads_;
  std::vector<Group> groups_;
  std::vector<Line> lines_;
};

}  // namespace epskew
