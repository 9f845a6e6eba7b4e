#include "serve/secure_bytes.h"

#include <bit>
#include <string>
#include <vector>

#include "crypto/aead.h"
#include "host/posix/threads.h"
#include "kernels/kernel.h"
#include "runtime/binding.h"
#include "runtime/session.h"

namespace coracle::serve {
namespace {

constexpr uint64_t kPageBytes = 4096;
/// Of a session: its objects, the workers' and the openers', the buffers of its ports.
constexpr uint64_t kSessionBytes = 8 * 1024;
constexpr uint64_t kWorkerBytes = 2048 + crypto::kKeyMemoryBytes;

/// A block of malloc: 16 bytes aligned, with 8 bytes before it, 32 at least.
uint64_t BlockBytes(uint64_t bytes) { return bytes == 0 ? 0 : (bytes + 8 + 31) / 16 * 16; }

/// A vector that was copied or reserved: exactly its elements.
template <typename T>
uint64_t ExactBytes(uint64_t count) {
  return BlockBytes(count * sizeof(T));
}

/// A vector that was filled one by one: up to twice as many.
template <typename T>
uint64_t GrownBytes(uint64_t count) {
  return count == 0 ? 0 : BlockBytes(std::bit_ceil(count) * sizeof(T));
}

uint64_t TextBytes(const std::string& text) {
  constexpr size_t kInside = 15;  // short ones need no block
  return text.size() <= kInside ? 0 : BlockBytes(text.size() + 1);
}

uint64_t PortBytes(const std::vector<graph::Port>& ports) {
  uint64_t bytes = GrownBytes<graph::Port>(ports.size());
  for (const graph::Port& port : ports)
    bytes += TextBytes(port.name) + GrownBytes<uint32_t>(port.perm.size());
  return bytes;
}

/// What BindPlan() makes of one part (runtime/binding.h). `images`: of all inputs.
uint64_t BoundPartBytes(const graph::Node& node, const plan::Part& part, uint64_t images) {
  const uint64_t chunks = node.weights.chunks.size();
  uint64_t bytes = GrownBytes<runtime::ChunkGroup>(chunks) +
                   ExactBytes<kernels::Rows>(images * node.inputs.size()) +
                   GrownBytes<kernels::Image>(images);
  const bool held =
      part.weights == plan::WeightsMode::kHeld || part.weights == plan::WeightsMode::kPinned;
  if (held) bytes += GrownBytes<runtime::HeldChunk>(chunks);
  return bytes;
}

uint64_t BoundBytes(const graph::Graph& graph, const plan::Plan& plan) {
  uint64_t bytes = ExactBytes<runtime::BoundStep>(plan.steps.size());
  for (const plan::Step& step : plan.steps) {
    if (step.actions.empty()) continue;
    bytes += ExactBytes<runtime::BoundPart>(step.parts.size()) +
             GrownBytes<runtime::BoundWindow>(step.windows.size()) +
             GrownBytes<runtime::BoundAction>(step.actions.size());
    for (const plan::Part& part : step.parts) {
      const graph::Node& node = graph.node(part.node);
      const uint64_t images = graph::RowsOf(graph.shape(node.output)).images;
      bytes += BoundPartBytes(node, part, images * plan.batch);
    }
  }
  return bytes;
}

/// Blocks of rows that are kept outside: their store, and a sealer for each worker.
uint64_t StoreBytes(const plan::Plan& plan) {
  if (!runtime::KeepsRowsOutside(plan)) return 0;
  constexpr uint64_t kPlaceBytes = 256;
  return plan.threads * (kPageBytes + kWorkerBytes) + plan.tensors.size() * kPlaceBytes;
}

}  // namespace

uint64_t GraphBytes(const graph::Graph& graph) {
  uint64_t bytes = GrownBytes<graph::Tensor>(graph.tensors.size()) +
                   GrownBytes<graph::Node>(graph.nodes.size()) + PortBytes(graph.inputs) +
                   PortBytes(graph.outputs);
  for (const graph::Tensor& tensor : graph.tensors) bytes += TextBytes(tensor.name);
  for (const graph::Node& node : graph.nodes) {
    bytes += TextBytes(node.name) + GrownBytes<graph::TensorIndex>(node.inputs.size()) +
             GrownBytes<graph::ChunkDescriptor>(node.weights.chunks.size());
  }
  return bytes;
}

uint64_t ManifestBytes(const seal::Manifest& manifest) {
  uint64_t bytes = sizeof(seal::Manifest) + GraphBytes(manifest.graph) +
                   GrownBytes<seal::ChunkRecord>(manifest.chunks.size()) +
                   GrownBytes<std::string>(manifest.labels.size()) +
                   TextBytes(manifest.preprocess) + TextBytes(manifest.decode);
  for (const std::string& label : manifest.labels) bytes += TextBytes(label);
  return bytes;
}

uint64_t PlanBytes(const plan::Plan& plan) {
  uint64_t bytes = sizeof(plan::Plan) + ExactBytes<plan::TensorPlan>(plan.tensors.size()) +
                   ExactBytes<plan::PoolRange>(plan.decoding.size()) +
                   ExactBytes<plan::Step>(plan.steps.size());
  for (const plan::Step& step : plan.steps) {
    bytes += ExactBytes<plan::Part>(step.parts.size()) +
             ExactBytes<plan::Window>(step.windows.size()) +
             ExactBytes<plan::Action>(step.actions.size()) +
             ExactBytes<plan::PoolRange>(step.slots.size()) +
             ExactBytes<plan::PoolRange>(step.workspaces.size());
  }
  return bytes;
}

uint64_t RunnerBytes(const graph::Graph& graph, const plan::Plan& plan) {
  const uint64_t pool = (plan.pool_bytes + kPageBytes - 1) / kPageBytes * kPageBytes;
  const uint64_t all_inputs = plan.batch > 1 ? GraphBytes(graph) : 0;
  const uint64_t stacks = (plan.threads - 1) * uint64_t{host::kThreadStackBytes};
  const uint64_t timings = ExactBytes<uint64_t>(plan.steps.size());
  return pool + PlanBytes(plan) + BoundBytes(graph, plan) + all_inputs + StoreBytes(plan) +
         kSessionBytes + plan.threads * kWorkerBytes + stacks + timings;
}

}  // namespace coracle::serve
