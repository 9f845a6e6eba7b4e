#include "our_layer.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <random>

#include "base/check.h"
#include "graph/chunk.h"

namespace coracle::bench {
namespace {

kernels::Rows DenseRows(float* base, uint32_t rows, uint32_t pixels, uint32_t channels) {
  return {.base = base,
          .row_stride = static_cast<ptrdiff_t>(pixels) * channels,
          .pixel_stride = static_cast<ptrdiff_t>(channels),
          .rows = rows,
          .pixels = pixels,
          .channels = channels};
}

crypto::Key256 BenchKey() {
  crypto::Key256 key;
  std::memset(key.mutable_bytes().data(), 7, key.mutable_bytes().size());
  return key;
}

}  // namespace

template <class T>
void OurLayer::Aligned<T>::Resize(size_t count) {
  elements.resize(count + kAlignment);
  const auto address = reinterpret_cast<uintptr_t>(elements.data());
  span = {elements.data() + (kAlignment - address % kAlignment) % kAlignment / sizeof(T), count};
}

OurLayer::OurLayer(const kernels::LayerShape& shape, Weights weights, Crew& crew)
    : layer_(shape, 1), weights_(weights), crew_(crew), workers_(crew.threads()) {
  const kernels::KernelSet& set = kernels::SimdKernels();
  kernel_ = kernels::PanelKernelOf(set, layer_.graph(), layer_.node());
  input_.Resize(layer_.InputElements());
  const std::vector<float> random = layer_.RandomFloats(layer_.InputElements(), 2);
  std::copy(random.begin(), random.end(), input_.span.begin());
  output_.Resize(layer_.OutputElements());
  input_rows_ = DenseRows(input_.span.data(), shape.height, shape.width, shape.inputs);
  output_rows_ =
      DenseRows(output_.span.data(), layer_.output_height(), layer_.output_width(), shape.outputs);
  FindGroups();
  for (Worker& worker : workers_) MakeWorker(worker);
  if (weights_ == Weights::kSealed) Seal();
}

/// Groups as the planner has them: by panels only where weights outweigh activations.
void OurLayer::FindGroups() {
  const std::vector<graph::ChunkDescriptor>& chunks = layer_.node().weights.chunks;
  for (uint32_t i = 0; i < chunks.size(); ++i) {
    if (chunks[i].k_begin == 0) group_begins_.push_back(i);
  }
  const size_t groups = group_begins_.size();
  group_begins_.push_back(static_cast<uint32_t>(chunks.size()));
  const uint32_t workers = crew_.threads();
  const uint64_t activation_bytes =
      (layer_.InputElements() + layer_.OutputElements()) * sizeof(float);
  by_panels_ = workers > 1 &&
               ((groups >= 2 * workers && layer_.node().weights.TotalBytes() > activation_bytes) ||
                layer_.output_height() < workers);
}

void OurLayer::MakeWorker(Worker& worker) {
  constexpr size_t kSlotFloats = graph::kMaxChunkBytes / sizeof(float);
  worker.slot.Resize(kSlotFloats);
  const std::vector<float> random = layer_.RandomFloats(kSlotFloats, 3);
  std::copy(random.begin(), random.end(), worker.slot.span.begin());
  worker.workspace.Resize(kernels::WorkspaceBytes(layer_.graph(), layer_.node()));
  worker.key_memory.Resize(crypto::kKeyMemoryBytes);
  auto aead =
      crypto::MakeAeadIn(worker.key_memory.span, crypto::PreferredAeadBackend(), BenchKey());
  CORACLE_CHECK(aead.ok());
  worker.aead = std::move(aead).value();
}

void OurLayer::Seal() {
  const std::vector<graph::ChunkDescriptor>& chunks = layer_.node().weights.chunks;
  ciphertext_.resize(layer_.node().weights.TotalBytes());
  size_t offset = 0;
  for (uint32_t i = 0; i < chunks.size(); ++i) {
    SealedChunk sealed{.offset = offset};
    std::memcpy(sealed.nonce.data(), &i, sizeof(i));
    const std::span text(layer_.Text(i), chunks[i].bytes / sizeof(float));
    workers_[0].aead->Seal(sealed.nonce, {}, std::as_bytes(text),
                           std::span(ciphertext_).subspan(offset, chunks[i].bytes), sealed.tag);
    chunks_.push_back(sealed);
    offset += chunks[i].bytes;
  }
}

void OurLayer::Run() {
  next_group_ = 0;
  crew_.Run([this](uint32_t thread) {
    Worker& worker = workers_[thread];
    const auto groups = static_cast<uint32_t>(group_begins_.size() - 1);
    const uint32_t height = layer_.output_height();
    const uint32_t threads = crew_.threads();
    if (by_panels_) {
      for (uint32_t group = next_group_++; group < groups; group = next_group_++) {
        RunGroup(worker, group, group + threads, {0, height});
      }
      return;
    }
    const uint32_t granule = kernels::RowGranule(layer_.node());
    const uint32_t granules = (height + granule - 1) / granule;
    const kernels::RowRange rows{granules * thread / threads * granule,
                                 std::min(granules * (thread + 1) / threads * granule, height)};
    for (uint32_t group = 0; group < groups; ++group) RunGroup(worker, group, group + 1, rows);
  });
}

double OurLayer::ErrorAgainstFloat64() {
  constexpr int kSamples = 300;
  const std::vector<graph::ChunkDescriptor>& chunks = layer_.node().weights.chunks;
  const kernels::Image image{std::span(&input_rows_, 1), output_rows_};
  for (uint32_t chunk = 0; chunk < chunks.size(); ++chunk) {
    kernel_({.graph = &layer_.graph(),
             .node = &layer_.node(),
             .images = std::span(&image, 1),
             .chunk = &chunks[chunk],
             .weights = layer_.Text(chunk),
             .workspace = workers_[0].workspace.span},
            {0, layer_.output_height()});
  }
  const std::vector<float> input(input_.span.begin(), input_.span.end());
  std::mt19937 random(1);
  double worst = 0;
  double largest = 0;
  for (int i = 0; i < kSamples; ++i) {
    const auto y = static_cast<uint32_t>(random() % layer_.output_height());
    const auto x = static_cast<uint32_t>(random() % layer_.output_width());
    const auto channel = static_cast<uint32_t>(random() % layer_.shape().outputs);
    const double sum = layer_.SumInFloat64(input, y, x, channel);
    const double want = kernels::ExactActivation(layer_.node().activation, static_cast<float>(sum));
    worst = std::max(worst, std::abs(want - double{output_rows_.Pixel(y, x)[channel]}));
    largest = std::max(largest, std::abs(want));
  }
  return worst / largest;
}

void OurLayer::RunGroup(Worker& worker, uint32_t group, uint32_t following,
                        kernels::RowRange rows) {
  const uint32_t end = group_begins_[group + 1];
  for (uint32_t chunk = group_begins_[group]; chunk < end; ++chunk) {
    const bool last_group = following >= group_begins_.size() - 1;
    const uint32_t next =
        chunk + 1 < end ? chunk + 1 : (last_group ? UINT32_MAX : group_begins_[following]);
    RunChunk(worker, chunk, next, rows);
  }
}

/// `next`: the chunk that the thread will open after this one, if any.
void OurLayer::RunChunk(Worker& worker, uint32_t chunk, uint32_t next, kernels::RowRange rows) {
  const std::vector<graph::ChunkDescriptor>& chunks = layer_.node().weights.chunks;
  kernels::Prefetch prefetch;
  if (weights_ == Weights::kSealed) {
    const SealedChunk& sealed = chunks_[chunk];
    const auto verdict = worker.aead->Open(
        sealed.nonce, {}, std::span(ciphertext_).subspan(sealed.offset, chunks[chunk].bytes),
        sealed.tag, std::as_writable_bytes(worker.slot.span).first(chunks[chunk].bytes));
    CORACLE_CHECK(verdict == crypto::Verdict::kAuthentic);
    if (next < chunks.size()) {
      prefetch.next = ciphertext_.data() + chunks_[next].offset;
      prefetch.end = prefetch.next + chunks[next].bytes;
    }
  }
  const kernels::Image image{std::span(&input_rows_, 1), output_rows_};
  kernel_({.graph = &layer_.graph(),
           .node = &layer_.node(),
           .images = std::span(&image, 1),
           .chunk = &chunks[chunk],
           .weights = reinterpret_cast<const std::byte*>(worker.slot.span.data()),
           .workspace = worker.workspace.span,
           .prefetch = &prefetch},
          rows);
}

}  // namespace coracle::bench
