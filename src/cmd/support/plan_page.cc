#include "cmd/support/plan_page.h"

#include "cmd/support/html_page.h"

// Laid into the program by coracle_embed (CMakeLists.txt).
extern "C" {
extern const char coracle_plan_main_html[], coracle_plan_main_html_end[];
extern const char coracle_plan_css[], coracle_plan_css_end[];
extern const char coracle_plan_js[], coracle_plan_js_end[];
}

namespace coracle::cmd {

std::string PlanPage(const Json& plan) {
  return HtmlPage({.title = "Coracle plan",
                   .data_id = "plan",
                   .main = Embedded(coracle_plan_main_html, coracle_plan_main_html_end),
                   .style = Embedded(coracle_plan_css, coracle_plan_css_end),
                   .script = Embedded(coracle_plan_js, coracle_plan_js_end)},
                  plan);
}

}  // namespace coracle::cmd
