#include "cmd/characterize/layers_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "base/units.h"

namespace coracle::cmd {
namespace {

/// The last column is of all other kinds.
constexpr std::array<std::string_view, 4> kKinds = {"weights", "activations", "workspace", "stack"};

struct Bytes {
  uint64_t read = 0;
  uint64_t written = 0;
};

struct Row {
  std::string name;
  uint64_t entered = 0;
  uint64_t accesses = 0;
  uint64_t touched_bytes = 0;
  std::vector<uint64_t> loads;                 ///< by EPC size
  std::array<Bytes, kKinds.size() + 1> kinds;  ///< as kKinds, then the rest
};

size_t Column(std::string_view kind) {
  size_t column = 0;
  while (column < kKinds.size() && kKinds[column] != kind) ++column;
  return column;
}

void CountKinds(const Json& kinds, Row& row) {
  for (const Json& kind : kinds) {
    Bytes& bytes = row.kinds[Column(kind.at("kind").get<std::string>())];
    bytes.read += kind.at("read_bytes").get<uint64_t>();
    bytes.written += kind.at("written_bytes").get<uint64_t>();
  }
}

std::vector<Row> LayerRows(const Json& report) {
  std::vector<Row> rows;
  for (const Json& layer : report.at("layers")) {
    Row& row = rows.emplace_back();
    row.name = layer.at("name");
    row.entered = layer.at("entered");
    row.accesses = layer.at("accesses");
    row.touched_bytes = layer.at("touched_bytes");
    row.loads = layer.at("loads").get<std::vector<uint64_t>>();
    CountKinds(layer.at("kinds"), row);
  }
  return rows;
}

/// Counts of the whole and of its parts are taken at the same moment, but a page's accesses are
/// counted when it is left: a part may be a few ahead.
uint64_t Rest(uint64_t whole, uint64_t part) { return whole - std::min(whole, part); }

/// All, without what the rows have.
Row NoLayer(const Json& report, const std::vector<Row>& rows) {
  Row rest{"(no layer)", 0, report.at("accesses").at("count"), 0, {}, {}};
  CountKinds(report.at("memory"), rest);
  for (const Json& size : report.at("epc").at("sizes")) rest.loads.push_back(size.at("loads"));
  for (const Row& row : rows) {
    rest.accesses = Rest(rest.accesses, row.accesses);
    for (size_t i = 0; i < rest.kinds.size(); ++i) {
      rest.kinds[i].read = Rest(rest.kinds[i].read, row.kinds[i].read);
      rest.kinds[i].written = Rest(rest.kinds[i].written, row.kinds[i].written);
    }
    for (size_t i = 0; i < std::min(rest.loads.size(), row.loads.size()); ++i) {
      rest.loads[i] = Rest(rest.loads[i], row.loads[i]);
    }
  }
  return rest;
}

std::string PlanLine(const Json& plan) {
  const Json& budget = plan.at("budget_bytes");
  return fmt::format("planned for {}: a pool of {}, {} steps, predicted {:.2f} ms\n",
                     budget.is_null() ? "unlimited memory" : FormatBytes(budget.get<uint64_t>()),
                     FormatBytes(plan.at("pool_bytes").get<uint64_t>()), plan.at("steps").size(),
                     plan.at("predicted_ms").get<double>());
}

std::string Loads(const std::vector<Row>& rows, const Json& sizes) {
  std::string text = fmt::format("\n{:<32}{:>7}{:>14}{:>11}{}\n", "", "", "", "",
                                 sizes.empty() ? "" : "  page loads in an EPC of");
  text += fmt::format("{:<32}{:>7}{:>14}{:>11}", "layer", "times", "accesses", "touched");
  for (const Json& size : sizes) {
    text += fmt::format("{:>10}", FormatBytes(size.at("bytes").get<uint64_t>()));
  }
  for (const Row& row : rows) {
    text += fmt::format("\n{:<32.32}{:>7}{:>14}{:>11}", row.name,
                        row.entered == 0 ? "" : std::to_string(row.entered), row.accesses,
                        row.touched_bytes == 0 ? "" : FormatBytes(row.touched_bytes));
    for (const uint64_t loads : row.loads) text += fmt::format("{:>10}", loads);
  }
  return text + "\n";
}

std::string Cell(uint64_t bytes) { return bytes == 0 ? "-" : FormatBytes(bytes); }

std::string Kinds(const std::vector<Row>& rows) {
  std::string text = fmt::format("\n{:<24}", "bytes read, written");
  for (const std::string_view kind : kKinds) text += fmt::format("{:>20}", kind);
  text += fmt::format("{:>20}", "other");
  for (const Row& row : rows) {
    text += fmt::format("\n{:<24.24}", row.name);
    for (const Bytes& bytes : row.kinds) {
      text += fmt::format("{:>10}{:>10}", Cell(bytes.read), Cell(bytes.written));
    }
  }
  return text + "\n\n";
}

}  // namespace

std::string LayersText(const Json& report) {
  std::string text = PlanLine(report.at("plan"));
  if (!report.contains("layers")) return text;
  std::vector<Row> rows = LayerRows(report);
  rows.push_back(NoLayer(report, rows));
  return text + Loads(rows, report.at("epc").at("sizes")) + Kinds(rows);
}

}  // namespace coracle::cmd
