#include "cmd/characterize/report_page.h"

#include "characterize/advice/advice.h"
#include "characterize/program/access_run.h"
#include "cmd/support/html_page.h"

// Laid into the program by coracle_embed (CMakeLists.txt).
extern "C" {
extern const char coracle_characterization_main_html[], coracle_characterization_main_html_end[];
extern const char coracle_characterization_css[], coracle_characterization_css_end[];
extern const char coracle_characterization_js[], coracle_characterization_js_end[];
}

namespace coracle::cmd {
namespace {

/// Null if the report follows no pages, or even one would do.
Json KneeOf(const Json& report) {
  const auto reuse = report.find("reuse");
  if (reuse == report.end() || reuse->empty()) return nullptr;
  const uint64_t bytes = characterize::KneeBytes(report);
  return bytes == 0 ? Json() : Json(bytes);
}

}  // namespace

std::string CharacterizationPage(const Json& report) {
  Json data = report;
  data["knee_bytes"] = KneeOf(report);
  return HtmlPage(
      {.title = "Coracle characterization",
       .data_id = "findings",
       .main = Embedded(coracle_characterization_main_html, coracle_characterization_main_html_end),
       .style = Embedded(coracle_characterization_css, coracle_characterization_css_end),
       .script = Embedded(coracle_characterization_js, coracle_characterization_js_end)},
      data);
}

}  // namespace coracle::cmd
