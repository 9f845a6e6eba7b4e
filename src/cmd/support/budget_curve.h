// BudgetCurve: predicted time over budgets, from the least that suffices to the one that changes
// nothing any more.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "base/result.h"
#include "cmd/support/console.h"
#include "plan/planner.h"

namespace coracle::cmd {

struct CurvePoint {
  uint64_t budget_bytes = 0;
  uint64_t pool_bytes = 0;
  double predicted_ms = 0;
  bool knee = false;  ///< more memory than this buys much less time than memory up to this did
};

/// Points at growing distances. `progress(done, total)` is called on the way.
Result<std::vector<CurvePoint>> BudgetCurve(
    plan::Planner& planner, plan::Pinning pinning,
    const std::function<void(uint64_t, uint64_t)>& progress);

/// Marks the knees: corners of the curve's lower hull (over the logarithm of the budget) at which
/// its slope halves at least and that lie a twentieth of the whole fall below the corner before.
void MarkKnees(std::vector<CurvePoint>& points);

Json CurveJson(const std::vector<CurvePoint>& points);
std::string CurveTable(const std::vector<CurvePoint>& points);

}  // namespace coracle::cmd
