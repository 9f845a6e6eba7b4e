#include "cmd/support/prediction.h"

#include <utility>

#include "cmd/support/heap_meter.h"
#include "kernels/kernel.h"
#include "plan/plan.h"

namespace coracle::cmd {

Result<std::unique_ptr<Prediction>> Prediction::Make(const OpenedModel& opened,
                                                     uint64_t budget_bytes, uint32_t threads) {
  plan::PlanRequest request;
  request.budget_bytes = budget_bytes;
  request.threads = threads;
  TRY_ASSIGN(plan::Plan plan, plan::MakePlan(opened.model->manifest().graph, request));
  std::unique_ptr<Prediction> prediction(new Prediction);
  prediction->path_ = opened.given_path;
  TRY_ASSIGN(
      prediction->session_,
      runtime::Session::Create(*opened.model, std::move(plan), kernels::SimdKernels(),
                               {&prediction->memory_, &prediction->threads_, &prediction->clock_}));
  return prediction;
}

Result<Measured> Prediction::Run() {
  Measured measured;
  const HeapMeter heap;
  const uint64_t start = clock_.NowNanoseconds();
  Status done = session_->Run();
  measured.latency_ms = static_cast<double>(clock_.NowNanoseconds() - start) / 1e6;
  const std::optional<uint64_t> heap_peak = heap.PeakBytes();
  if (!done.ok()) return OfFile(path_, done.error());
  measured.stats = session_->stats();
  measured.heap_known = heap_peak.has_value();
  measured.heap_peak_bytes = heap_peak.value_or(0);
  return measured;
}

}  // namespace coracle::cmd
