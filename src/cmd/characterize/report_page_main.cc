// Turns the JSON of findings on stdin into their page on stdout: how
// tests/e2e/characterize_report.py shows findings of its own making.
#include <iostream>
#include <iterator>
#include <string>

#include "cmd/characterize/report_page.h"

int main() {
  using coracle::cmd::Json;
  const std::string text{std::istreambuf_iterator<char>(std::cin), {}};
  const Json report = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!report.is_object()) {
    std::cerr << "usage: characterization_page <findings.json\n";
    return coracle::cmd::kExitUsage;
  }
  std::cout << coracle::cmd::CharacterizationPage(report);
  return coracle::cmd::kExitSuccess;
}
