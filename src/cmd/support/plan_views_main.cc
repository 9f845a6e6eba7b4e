// Turns the JSON of a plan on stdin into its page (or, with a number of columns, its timeline) on
// stdout: how tests/e2e/plan_report.py shows plans of its own making.
#include <charconv>
#include <iostream>
#include <iterator>
#include <string>
#include <string_view>

#include "cmd/support/plan_page.h"
#include "cmd/support/plan_timeline.h"

int main(int argc, char** argv) {
  using coracle::cmd::Json;
  const std::string text{std::istreambuf_iterator<char>(std::cin), {}};
  const Json plan = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  int columns = 0;
  const std::string_view wanted = argc > 1 ? argv[1] : "0";
  const bool number =
      std::from_chars(wanted.data(), wanted.data() + wanted.size(), columns).ec == std::errc();
  if (!plan.is_object() || !number || argc > 2) {
    std::cerr << "usage: plan_views [COLUMNS] <plan.json\n";
    return coracle::cmd::kExitUsage;
  }
  std::cout << (argc > 1 ? coracle::cmd::PlanTimeline(plan, columns)
                         : coracle::cmd::PlanPage(plan));
  return coracle::cmd::kExitSuccess;
}
