#include "report/html/write_page.hpp"

#include <fmt/format.h>

#include "epskew/support/json_file.hpp"
#include "report/html/assets.hpp"

namespace epskew {
namespace {

// Nothing may be fetched: not by us, not by text that slipped in from a result file.
constexpr const char* content_policy =
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:";

// The licences ask for their notice in copies; a page is one.
constexpr const char* notice =
    "Plots by Vega (copyright 2015-2021 UW Interactive Data Lab, BSD-3-Clause) with D3 (copyright Mike "
    "Bostock, ISC).";

std::string inline_html(const Value& value) {
  if (!value.exact) return escape_html(value.text);
  const std::string source =
      value.source.empty() ? "" : fmt::format(" data-s=\"{}\"", escape_html(value.source));
  return fmt::format("<data value=\"{}\"{}>{}</data>", *value.exact, source, escape_html(value.text));
}

std::string inline_html(const Sentence& sentence) {
  std::string out;
  for (const Value& value : sentence) out += inline_html(value);
  return out;
}

std::string cell_html(const Value& value) {
  if (value.missing) return "<td class=\"none\">–</td>";
  if (!value.exact) return fmt::format("<td>{}</td>", escape_html(value.text));
  const std::string source =
      value.source.empty() ? "" : fmt::format(" data-s=\"{}\"", escape_html(value.source));
  return fmt::format("<td data-v=\"{}\"{}>{}</td>", *value.exact, source, escape_html(value.text));
}

bool is_number_column(const Table& table, std::size_t column) {
  for (const auto& row : table.rows) {
    if (!row[column].missing) return row[column].exact.has_value();
  }
  return false;
}

std::string table_html(const Table& table) {
  std::string out =
      fmt::format("<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"{}\">\n<table>",
                  escape_html(table.caption));
  out += fmt::format("<caption>{}</caption>\n<thead><tr>", escape_html(table.caption));
  for (std::size_t i = 0; i < table.columns.size(); ++i) {
    out += fmt::format("<th scope=\"col\"{}>{}</th>", is_number_column(table, i) ? " class=\"number\"" : "",
                       escape_html(table.columns[i]));
  }
  out += "</tr></thead>\n<tbody>\n";
  for (const auto& row : table.rows) {
    out += "<tr>";
    for (const Value& value : row) out += cell_html(value);
    out += "</tr>\n";
  }
  return out + "</tbody></table>\n</div>\n";
}

std::string figure_html(const Figure& figure) {
  return fmt::format(
      "<figure id=\"{}\" data-plot=\"{}\">\n<figcaption><h3>{}</h3><p>{}</p></figcaption>\n"
      "<div class=\"legend-slot\"></div>\n<div class=\"plots\"></div>\n"
      "<details><summary>The same as a table ({} rows)</summary>\n{}</details>\n</figure>\n",
      escape_html(figure.id), escape_html(dump_json(figure.plot)), escape_html(figure.title),
      escape_html(figure.note), figure.table.rows.size(), table_html(figure.table));
}

std::string facts_html(const FactList& list) {
  std::string out;
  if (!list.heading.empty()) out += fmt::format("<h3>{}</h3>\n", escape_html(list.heading));
  if (!list.command.empty()) out += fmt::format("<pre><code>{}</code></pre>\n", escape_html(list.command));
  if (list.facts.empty()) return out;
  out += "<dl class=\"facts\">\n";
  for (const Fact& fact : list.facts) {
    out += fmt::format("<dt>{}</dt><dd>{}</dd>\n", escape_html(fact.name), escape_html(fact.text));
  }
  return out + "</dl>\n";
}

std::string section_html(const Section& section) {
  const std::string id = escape_html(section.id);
  std::string out =
      fmt::format("<section id=\"{0}\" aria-labelledby=\"{0}-heading\">\n<h2 id=\"{0}-heading\">{1}</h2>\n",
                  id, escape_html(section.heading));
  if (!section.lead.empty()) out += fmt::format("<p>{}</p>\n", escape_html(section.lead));
  for (const Figure& figure : section.figures) out += figure_html(figure);
  for (const Table& table : section.tables) out += table_html(table);
  for (const FactList& list : section.facts) out += facts_html(list);
  return out + "</section>\n";
}

std::string head_html(const Page& page) {
  return fmt::format(
      "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta http-equiv=\"Content-Security-Policy\" content=\"{}\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<meta name=\"color-scheme\" content=\"light "
      "dark\">\n<title>{}</title>\n<style>\n{}</style>\n</head>\n",
      content_policy, escape_html(page.title), assets::style);
}

std::string header_html(const Page& page) {
  std::string out = fmt::format("<header>\n<p class=\"eyebrow\">{}</p>\n<h1>{}</h1>\n",
                                escape_html(page.eyebrow), inline_html(page.headline));
  for (const Sentence& sentence : page.support)
    out += fmt::format("<p class=\"lead\">{}</p>\n", inline_html(sentence));
  out += "</header>\n<nav aria-label=\"On this page\"><ul>\n";
  for (const Section& section : page.sections) {
    out += fmt::format("<li><a href=\"#{}\">{}</a></li>\n", escape_html(section.id),
                       escape_html(section.heading));
  }
  return out + "</ul></nav>\n";
}

}  // namespace

std::string escape_html(const std::string& text) {
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::string write_page(const Page& page) {
  std::string out = head_html(page);
  out += "<body>\n<a class=\"skip\" href=\"#main\">Skip to the results</a>\n" + header_html(page);
  out += "<noscript><p>The plots need scripts; every number is also in the tables below.</p></noscript>\n";
  out += "<main id=\"main\" tabindex=\"-1\">\n";
  for (const Section& section : page.sections) out += section_html(section);
  out += fmt::format("</main>\n<footer><p>{}</p></footer>\n", notice);
  // The build has checked that no script contains a closing tag.
  out += fmt::format("<script>\n{}</script>\n<script>\n{}</script>\n</body>\n</html>\n", assets::vega,
                     assets::script);
  return out;
}

}  // namespace epskew
