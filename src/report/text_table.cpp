#include "report/text_table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "epskew/support/error.hpp"

namespace epskew {
namespace {

void finish_line(std::string& text) {
  text.erase(text.find_last_not_of(' ') + 1);
  text += '\n';
}

std::string aligned(const std::vector<std::string>& cells, const std::vector<std::size_t>& widths) {
  std::string text = fmt::format("{:<{}}", cells.front(), widths.front());
  for (std::size_t i = 1; i < cells.size(); ++i) text += fmt::format("{:>{}}", cells[i], widths[i]);
  finish_line(text);
  return text;
}

}  // namespace

TextTable::TextTable(std::vector<std::string> heads) : heads_(std::move(heads)) {}

void TextTable::group(std::string title, std::size_t first, std::size_t count) {
  EPSKEW_EXPECT(first > 0 && first + count <= heads_.size());
  groups_.push_back({std::move(title), first, count});
}

void TextTable::row(std::vector<std::string> cells) {
  EPSKEW_EXPECT(cells.size() == heads_.size());
  lines_.push_back({false, std::move(cells)});
}

void TextTable::heading(std::string text) {
  lines_.push_back({true, {std::move(text)}});
}

std::vector<std::size_t> TextTable::widths() const {
  std::vector<std::size_t> widths;
  for (const std::string& head : heads_) widths.push_back(head.size());
  for (const Line& line : lines_) {
    for (std::size_t i = 0; !line.is_heading && i < line.cells.size(); ++i) {
      widths[i] = std::max(widths[i], line.cells[i].size());
    }
  }
  // Room between columns, more of it before a group.
  for (std::size_t i = 1; i < widths.size(); ++i) ++widths[i];
  for (const Group& group : groups_) {
    ++widths[group.first];
    std::size_t width = 0;
    for (std::size_t i = 0; i < group.count; ++i) width += widths[group.first + i];
    if (width < group.title.size() + 2) widths[group.first] += group.title.size() + 2 - width;
  }
  return widths;
}

std::string TextTable::render() const {
  const std::vector<std::size_t> columns = widths();
  std::string text;
  if (!groups_.empty()) {
    std::string titles;
    for (const Group& group : groups_) {
      std::size_t end = columns.front();
      for (std::size_t i = 1; i < group.first + group.count; ++i) end += columns[i];
      titles += fmt::format("{:>{}}", group.title, end - titles.size());
    }
    finish_line(titles);
    text += titles;
  }
  text += aligned(heads_, columns);
  for (const Line& line : lines_)
    text += line.is_heading ? line.cells.front() + '\n' : aligned(line.cells, columns);
  return text;
}

}  // namespace epskew
