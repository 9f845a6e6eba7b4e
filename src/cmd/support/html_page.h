// One HTML page that opens offline: what every --report writes.
#pragma once

#include <string>
#include <string_view>

#include "cmd/support/console.h"

namespace coracle::cmd {

/// What coracle_embed (CMake) laid into the program between two symbols.
std::string_view Embedded(const char* begin, const char* end);

/// What makes a page one of its kind. All of it is our own text, from the program's read-only data.
struct PageParts {
  std::string_view title;    ///< until the page's script knows better
  std::string_view data_id;  ///< of the element that holds the data
  std::string_view main;     ///< the markup inside of <main>
  std::string_view style;    ///< after the style that all pages share (html_page/page.css)
  std::string_view script;   ///< after those that all pages share (html_page/basics.js, tables.js)
};

/// The page of these parts for `data`, an object. It holds its own script, style and charting
/// library (Apache ECharts), asks for nothing, and its Content-Security-Policy lets it run and load
/// nothing else: names in the data come from strangers and may be hostile. About 1.2 MB. When all
/// is drawn, the attributes of <html> tell: data-drawn="yes", data-errors.
std::string HtmlPage(const PageParts& parts, const Json& data);

}  // namespace coracle::cmd
