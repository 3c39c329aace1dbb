#pragma once

#include <string>

#include "report/html/page.hpp"

namespace epskew {

/// One self-contained HTML file: style, scripts and Vega inside, no address fetched, no eval.
std::string write_page(const Page& page);

/// Text as HTML character data or a double-quoted attribute value.
std::string escape_html(const std::string& text);

}  // namespace epskew
