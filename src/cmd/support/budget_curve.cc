#include "cmd/support/budget_curve.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/units.h"

namespace coracle::cmd {
namespace {

constexpr int kPoints = 32;
/// A corner is a knee if the slope behind it is less than this much of the one before it.
constexpr double kKneeSlope = 0.5;
constexpr double kKneeFall = 0.05;

double Slope(const CurvePoint& a, const CurvePoint& b) {
  const double run =
      std::log(static_cast<double>(b.budget_bytes)) - std::log(static_cast<double>(a.budget_bytes));
  return (a.predicted_ms - b.predicted_ms) / std::max(run, 1e-12);
}

}  // namespace

Result<std::vector<CurvePoint>> BudgetCurve(
    plan::Planner& planner, plan::Pinning pinning,
    const std::function<void(uint64_t, uint64_t)>& progress) {
  TRY_ASSIGN(const plan::Plan unlimited,
             planner.Make(plan::kUnlimited, pinning, plan::Passes::kAny));
  const auto least = static_cast<double>(planner.Least(plan::Passes::kAny).pool_bytes);
  const double most = std::max(least, static_cast<double>(unlimited.pool_bytes));
  std::vector<CurvePoint> points;
  for (int i = 0; i <= kPoints; ++i) {
    progress(static_cast<uint64_t>(i), kPoints);
    const auto budget =
        static_cast<uint64_t>(std::ceil(least * std::pow(most / least, double{1} * i / kPoints)));
    if (!points.empty() && points.back().budget_bytes >= budget) continue;
    TRY_ASSIGN(const plan::Plan plan, planner.Make(budget, pinning, plan::Passes::kAny));
    points.push_back({budget, plan.pool_bytes, plan.predicted_ms, false});
  }
  MarkKnees(points);
  return points;
}

void MarkKnees(std::vector<CurvePoint>& points) {
  std::vector<size_t> hull;
  for (size_t i = 0; i < points.size(); ++i) {
    while (hull.size() >= 2 && Slope(points[hull[hull.size() - 2]], points[hull.back()]) <=
                                   Slope(points[hull.back()], points[i])) {
      hull.pop_back();
    }
    hull.push_back(i);
  }
  if (hull.size() < 3) return;
  const double fall = points[hull.front()].predicted_ms - points[hull.back()].predicted_ms;
  size_t before = hull.front();
  for (size_t corner = 1; corner + 1 < hull.size(); ++corner) {
    const CurvePoint& from = points[before];
    CurvePoint& at = points[hull[corner]];
    const bool falls = from.predicted_ms - at.predicted_ms >= kKneeFall * fall;
    if (!falls || Slope(at, points[hull[corner + 1]]) > kKneeSlope * Slope(from, at)) continue;
    at.knee = true;
    before = hull[corner];
  }
}

Json CurveJson(const std::vector<CurvePoint>& points) {
  Json json = Json::array();
  for (const CurvePoint& point : points) {
    json.push_back({{"budget_bytes", point.budget_bytes},
                    {"predicted_ms", point.predicted_ms},
                    {"pool_bytes", point.pool_bytes},
                    {"knee", point.knee}});
  }
  return json;
}

std::string CurveTable(const std::vector<CurvePoint>& points) {
  std::string table = fmt::format("{:>12} {:>12}\n", "budget", "predicted");
  double most = 0;
  for (const CurvePoint& point : points) most = std::max(most, point.predicted_ms);
  for (const CurvePoint& point : points) {
    const auto bar = static_cast<size_t>(40 * point.predicted_ms / std::max(most, 1e-9));
    table += fmt::format("{:>12} {:>9.2f} ms  {:<40}{}\n", FormatBytes(point.budget_bytes),
                         point.predicted_ms, std::string(bar, '#'), point.knee ? "  <- knee" : "");
  }
  return table;
}

}  // namespace coracle::cmd
