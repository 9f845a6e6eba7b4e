#include "cmd/support/prediction.h"

#include <malloc.h>

#include <algorithm>
#include <random>
#include <utility>
#include <vector>

#include "cmd/support/heap_meter.h"
#include "runtime/measure_rates.h"
#include "runtime/ports.h"

namespace coracle::cmd {

Result<std::unique_ptr<Prediction>> Prediction::Make(const OpenedModel& opened,
                                                     const plan::PlanRequest& request) {
  plan::PlanRequest measured = request;
  host::PosixClock clock;
  TRY_ASSIGN(measured.rates, runtime::MeasureRates(clock));
  TRY_ASSIGN(plan::Plan plan, plan::MakePlan(opened.model->manifest().graph, measured));
  // What measuring and planning took is given back before the pool is reserved; and what making the
  // session took, after it: pages that nothing uses any more are the last to leave a secure memory
  // that is filled to the brim, after each page of the pool.
  malloc_trim(0);
  return Make(opened, std::move(plan));
}

Result<std::unique_ptr<Prediction>> Prediction::Make(const OpenedModel& opened, plan::Plan plan,
                                                     runtime::RunObserver* observer) {
  std::unique_ptr<Prediction> prediction(new Prediction);
  prediction->path_ = opened.given_path;
  prediction->graph_ = &opened.model->manifest().graph;
  TRY_ASSIGN(prediction->session_,
             prediction->outside_.Start(*opened.model, std::move(plan), observer));
  malloc_trim(0);
  return prediction;
}

Status Prediction::FillWithNoise() {
  constexpr uint64_t kPieceElements = 4096;
  std::mt19937 random(1);
  std::uniform_real_distribution<float> uniform(-1, 1);
  std::vector<float> values(kPieceElements);
  for (uint32_t input = 0; input < graph_->inputs.size(); ++input) {
    const graph::Port& port = graph_->inputs[input];
    for (uint32_t turn = 0; turn < session_->plan().batch; ++turn) {
      const uint64_t before = turn * port.shape.Elements();
      TRY(runtime::ForEachRowPiece(port, kPieceElements, [&](uint64_t first, uint64_t count) {
        std::generate_n(values.begin(), count, [&] { return uniform(random); });
        session_->WriteInput(input, before + first, std::span(values).first(count));
        return Status();
      }));
    }
  }
  return {};
}

Result<Measured> Prediction::Run() {
  Measured measured;
  const HeapMeter heap;
  const uint64_t start = outside_.clock().NowNanoseconds();
  Status done = session_->Run();
  measured.latency_ms = static_cast<double>(outside_.clock().NowNanoseconds() - start) / 1e6;
  const std::optional<uint64_t> heap_peak = heap.PeakBytes();
  if (!done.ok()) return OfFile(path_, done.error());
  measured.stats = session_->stats();
  measured.heap_known = heap_peak.has_value();
  measured.heap_peak_bytes = heap_peak.value_or(0);
  return measured;
}

}  // namespace coracle::cmd
