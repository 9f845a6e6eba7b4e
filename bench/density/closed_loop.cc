#include "closed_loop.h"

#include <algorithm>
#include <array>
#include <span>
#include <utility>

#include "fail.h"
#include "runtime/ports.h"

namespace coracle::density {
namespace {

constexpr size_t kPieceElements = 1024;
constexpr size_t kLatenciesMax = 1 << 16;  // of one client: reserved, so that no growth is measured

/// The same noise for every input, without a copy of an input: that would be secure memory too.
const std::array<float, kPieceElements>& Noise() {
  static const std::array<float, kPieceElements> noise = [] {
    std::array<float, kPieceElements> values{};
    uint32_t state = 1;
    for (float& value : values) {
      state = state * 1664525 + 1013904223;  // Numerical Recipes' generator
      value = static_cast<float>(static_cast<int32_t>(state)) * 0x1p-31F;
    }
    return values;
  }();
  return noise;
}

Status WriteInputs(const graph::Graph& graph, serve::InputSink& sink) {
  for (uint32_t input = 0; input < graph.inputs.size(); ++input) {
    TRY(runtime::ForEachRowPiece(graph.inputs[input], kPieceElements,
                                 [&](uint64_t first, uint64_t count) -> Status {
                                   sink.Write(input, first, std::span(Noise()).first(count));
                                   return {};
                                 }));
  }
  return {};
}

Status ReadOutputs(const graph::Graph& graph, const serve::OutputSource& outputs) {
  std::array<float, kPieceElements> piece;
  for (uint32_t output = 0; output < graph.outputs.size(); ++output) {
    TRY(runtime::ForEachRowPiece(
        graph.outputs[output], kPieceElements, [&](uint64_t first, uint64_t count) {
          return outputs.Read(output, first, std::span(piece).first(count));
        }));
  }
  return {};
}

}  // namespace

ClosedLoop::ClosedLoop(serve::Scheduler& scheduler, const std::vector<Asked>& models,
                       uint32_t clients)
    : scheduler_(scheduler), models_(models), records_(clients), asked_(clients) {
  for (ClientRecord& record : records_) record.latencies_ms.reserve(kLatenciesMax / clients);
}

void ClosedLoop::Run(double seconds) {
  start_ = Clock::now();
  end_ =
      start_ + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
  asking_.store(static_cast<uint32_t>(records_.size()));
  for (uint32_t client = 0; client < records_.size(); ++client) Ask(client);
  for (uint32_t left = asking_.load(); left > 0; left = asking_.load()) asking_.wait(left);
}

void ClosedLoop::Ask(uint32_t client) {
  const Asked& model = models_[client % models_.size()];
  serve::Request request;
  request.model = model.name;
  request.write_inputs = [&model](serve::InputSink& sink) {
    return WriteInputs(*model.graph, sink);
  };
  request.done = [this, client](const Status& status, const serve::OutputSource* outputs) {
    Answered(client, status, outputs);
  };
  asked_[client] = Clock::now();
  const auto submitted = scheduler_.Submit(std::move(request));
  if (!submitted.ok()) reference::Fail("{}: {}", model.name, submitted.error().message);
}

void ClosedLoop::Answered(uint32_t client, const Status& status,
                          const serve::OutputSource* outputs) {
  const Asked& model = models_[client % models_.size()];
  if (!status.ok()) reference::Fail("{}: {}", model.name, status.error().message);
  const Status read = ReadOutputs(*model.graph, *outputs);
  if (!read.ok()) reference::Fail("{}: {}", model.name, read.error().message);
  const Clock::time_point now = Clock::now();
  ClientRecord& record = records_[client];
  record.latencies_ms.push_back(
      std::chrono::duration<double, std::milli>(now - asked_[client]).count());
  if (now < end_) {
    Ask(client);
    return;
  }
  record.seconds = std::chrono::duration<double>(now - start_).count();
  asking_.fetch_sub(1);
  asking_.notify_all();
}

}  // namespace coracle::density
