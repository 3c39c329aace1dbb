#pragma once

/// Files that the build copies into the program; see cmake/EmbedText.cmake.

#include <string_view>

namespace epskew::assets {

extern const std::string_view style;   ///< CSS
extern const std::string_view vega;    ///< Vega's modules behind a small require()
extern const std::string_view script;  ///< draws the figures

}  // namespace epskew::assets
