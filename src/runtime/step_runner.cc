#include "runtime/step_runner.h"

#include <algorithm>

#include "base/checked.h"

namespace coracle::runtime {

crypto::Verdict StepRunner::Run(const BoundStep& bound, const BoundStep* next) {
  if (bound.step->elided) return crypto::Verdict::kAuthentic;
  bound_ = &bound;
  next_ = next;
  next_item_.store(0, std::memory_order_relaxed);
  tampered_.store(false, std::memory_order_relaxed);
  workers_.Run(bound.step->workers, {&RunOnWorker, this});
  return tampered_.load(std::memory_order_acquire) ? crypto::Verdict::kTampered
                                                   : crypto::Verdict::kAuthentic;
}

uint32_t StepRunner::BandCount() const {
  if (bound_->step->form == plan::Form::kLayer) return 1;
  return static_cast<uint32_t>(CeilDiv(bound_->output_rows, bound_->step->band_rows));
}

kernels::RowRange StepRunner::BandRows(uint32_t band) const {
  const plan::Step& step = *bound_->step;
  if (step.form == plan::Form::kLayer) return {0, bound_->output_rows};
  const uint32_t index = step.direction == plan::Direction::kDown ? band : BandCount() - 1 - band;
  const uint32_t begin = index * step.band_rows;
  return {begin, std::min(begin + step.band_rows, bound_->output_rows)};
}

void StepRunner::Work(uint32_t worker) {
  const plan::Step& step = *bound_->step;
  if (step.weights == plan::WeightsMode::kHeld) {
    OpenHeld(worker);
    workers_.Barrier(
        step.workers);  // held weights are divided by rows: the counter is not used again
  }
  const uint32_t bands = BandCount();
  for (uint32_t band = 0; band < bands; ++band) {
    if (tampered_.load(std::memory_order_relaxed) && step.workers == 1) return;
    WorkBand(worker, BandRows(band));
    if (band + 1 == bands) break;
    // A band may overwrite what the band before it reads: nobody starts early.
    workers_.Barrier(step.workers);
    if (worker == 0) next_item_.store(0, std::memory_order_relaxed);
    workers_.Barrier(step.workers);
  }
}

void StepRunner::WorkBand(uint32_t worker, kernels::RowRange band) {
  const plan::Step& step = *bound_->step;
  if (step.split == plan::Split::kPanels) {
    StreamGroups(worker, band);
    return;
  }
  const uint64_t count = band.count();
  const kernels::RowRange mine{
      band.begin + static_cast<uint32_t>(count * worker / step.workers),
      band.begin + static_cast<uint32_t>(count * (worker + 1) / step.workers)};
  if (mine.count() == 0) return;
  switch (step.weights) {
    case plan::WeightsMode::kStreamed:
      StreamPanels(worker, mine);
      break;
    case plan::WeightsMode::kHeld:
      ComputeHeld(worker, mine);
      break;
    case plan::WeightsMode::kNone:
      ComputeChunk(worker, 0, nullptr, mine, nullptr);
      break;
  }
}

void StepRunner::StreamPanels(uint32_t worker, kernels::RowRange rows) {
  const uint32_t groups = static_cast<uint32_t>(bound_->groups.size());
  for (uint32_t group = 0; group < groups; ++group) {
    if (tampered_.load(std::memory_order_relaxed)) return;
    StreamGroup(worker, group, group + 1, rows);
  }
}

void StepRunner::StreamGroups(uint32_t worker, kernels::RowRange rows) {
  const uint32_t groups = static_cast<uint32_t>(bound_->groups.size());
  while (!tampered_.load(std::memory_order_relaxed)) {
    const uint32_t group = next_item_.fetch_add(1, std::memory_order_relaxed);
    if (group >= groups) return;
    StreamGroup(worker, group, group + bound_->step->workers, rows);
  }
}

void StepRunner::StreamGroup(uint32_t worker, uint32_t group, uint32_t following_group,
                             kernels::RowRange rows) {
  const ChunkGroup range = bound_->groups[group];
  const plan::PoolRange slot = bound_->step->slots[worker];
  std::byte* const plain = pool_.data() + slot.offset;
  for (uint32_t chunk = range.begin; chunk < range.end; ++chunk) {
    if (!Open(worker, bound_->node->weights.chunks[chunk], plain)) return;
    kernels::Prefetch prefetch;
    if (chunk + 1 < range.end) {
      const Bytes next =
          states_[worker].opener->Ciphertext(bound_->node->weights.chunks[chunk + 1].index);
      prefetch = {next.data(), next.data() + next.size()};
    } else {
      prefetch = PrefetchOf(worker, following_group);
    }
    ComputeChunk(worker, chunk, reinterpret_cast<const float*>(plain), rows, &prefetch);
  }
}

kernels::Prefetch StepRunner::PrefetchOf(uint32_t worker, uint32_t following_group) const {
  const graph::ChunkDescriptor* following = nullptr;
  if (following_group < bound_->groups.size()) {
    following = &bound_->node->weights.chunks[bound_->groups[following_group].begin];
  } else if (next_ != nullptr && !next_->node->weights.chunks.empty()) {
    const std::vector<graph::ChunkDescriptor>& chunks = next_->node->weights.chunks;
    const bool shared = next_->step->split == plan::Split::kPanels && worker < next_->groups.size();
    following = &chunks[shared ? next_->groups[worker].begin : 0];
  }
  if (following == nullptr) return {};
  const Bytes next = states_[worker].opener->Ciphertext(following->index);
  return {next.data(), next.data() + next.size()};
}

void StepRunner::OpenHeld(uint32_t worker) {
  const std::vector<graph::ChunkDescriptor>& chunks = bound_->node->weights.chunks;
  while (!tampered_.load(std::memory_order_relaxed)) {
    const uint32_t mine = next_item_.fetch_add(1, std::memory_order_relaxed);
    if (mine >= chunks.size()) return;
    uint64_t offset = bound_->step->held.offset;
    for (uint32_t i = 0; i < mine; ++i) offset += chunks[i].bytes;
    if (!Open(worker, chunks[mine], pool_.data() + offset)) return;
  }
}

void StepRunner::ComputeHeld(uint32_t worker, kernels::RowRange rows) {
  const std::byte* weights = pool_.data() + bound_->step->held.offset;
  if (tampered_.load(std::memory_order_relaxed)) return;
  if (bound_->row_kernel != nullptr) {  // one constant block
    ComputeChunk(worker, 0, reinterpret_cast<const float*>(weights), rows, nullptr);
    return;
  }
  const uint32_t chunks = static_cast<uint32_t>(bound_->node->weights.chunks.size());
  for (uint32_t chunk = 0; chunk < chunks; ++chunk) {
    kernels::Prefetch prefetch;
    if (chunk + 1 == chunks)
      prefetch = PrefetchOf(worker, static_cast<uint32_t>(bound_->groups.size()));
    ComputeChunk(worker, chunk, reinterpret_cast<const float*>(weights), rows, &prefetch);
    weights += bound_->node->weights.chunks[chunk].bytes;
  }
}

void StepRunner::ComputeChunk(uint32_t worker, uint32_t chunk, const float* weights,
                              kernels::RowRange rows, kernels::Prefetch* prefetch) {
  const std::span<std::byte> workspace = WorkspaceOf(worker);
  if (bound_->row_kernel != nullptr) {
    bound_->row_kernel({&graph_, bound_->node, bound_->images, weights, workspace}, rows);
    return;
  }
  bound_->panel_kernel({&graph_, bound_->node, bound_->images, &bound_->node->weights.chunks[chunk],
                        weights, workspace, prefetch},
                       rows);
}

std::span<std::byte> StepRunner::WorkspaceOf(uint32_t worker) const {
  if (worker >= bound_->step->workspaces.size()) return {};
  const plan::PoolRange range = bound_->step->workspaces[worker];
  return pool_.subspan(range.offset, range.bytes);
}

bool StepRunner::Open(uint32_t worker, const graph::ChunkDescriptor& chunk, std::byte* plain) {
  WorkerState& state = states_[worker];
  const uint64_t start = clock_ != nullptr ? clock_->NowNanoseconds() : 0;
  const crypto::Verdict verdict = state.opener->Open(chunk.index, {plain, chunk.bytes});
  if (clock_ != nullptr) state.decrypt_ns += clock_->NowNanoseconds() - start;
  state.decrypted_bytes += chunk.bytes;
  if (verdict == crypto::Verdict::kAuthentic) return true;
  tampered_.store(true, std::memory_order_release);
  return false;
}

}  // namespace coracle::runtime
