#include "runtime/step_runner.h"

#include "kernels/kernel.h"
#include "runtime/row_share.h"
#include "runtime/run_observer.h"

namespace coracle::runtime {

StepOutcome StepRunner::Run(const BoundStep& step) {
  if (step.actions.empty()) return StepOutcome::kDone;  // elided
  step_ = &step;
  held_ = step.held;
  return RunJob(step.step->workers, [](void* runner, uint32_t worker) {
    static_cast<StepRunner*>(runner)->Work(worker);
  });
}

StepOutcome StepRunner::OpenAll(std::span<const HeldChunk> chunks) {
  held_ = chunks;
  return RunJob(workers_.count(), [](void* runner, uint32_t worker) {
    auto* const self = static_cast<StepRunner*>(runner);
    self->OpenClaimed(worker, self->claims_[0]);
  });
}

StepOutcome StepRunner::RunJob(uint32_t workers, void (*job)(void* runner, uint32_t worker)) {
  for (Claims& claims : claims_) claims.next.store(0, std::memory_order_relaxed);
  outcome_.store(StepOutcome::kDone, std::memory_order_relaxed);
  workers_.Run(workers, {job, this});
  return outcome_.load(std::memory_order_acquire);
}

void StepRunner::Fail(StepOutcome outcome) {
  StepOutcome none = StepOutcome::kDone;
  outcome_.compare_exchange_strong(none, outcome, std::memory_order_acq_rel);
}

/// True if only worker 0 has something to do: no barrier between such actions.
bool StepRunner::AloneOn0(const BoundStep& step, const BoundAction& action) {
  if (action.kind == plan::ActionKind::kCompute)
    return step.parts[action.index].split == plan::Split::kNone;
  return action.end - action.begin == 1;
}

void StepRunner::Work(uint32_t worker) {
  uint32_t phase = 0;
  Claims* claims = &claims_[0];
  bool first = true;
  bool alone = false;
  if (!step_->held.empty()) {
    OpenClaimed(worker, *claims);
    claims = &NextPhase(worker, phase);
  }
  for (uint32_t turn = 0; turn < step_->turns; ++turn) {
    states_[worker].turn = turn;
    for (const BoundAction& action : step_->actions) {
      const bool was_alone = alone;
      alone = AloneOn0(*step_, action);
      if (!first && !(was_alone && alone)) claims = &NextPhase(worker, phase);
      first = false;
      if (!Failed()) {
        Do(worker, action, *claims);
      } else if (step_->step->workers == 1) {
        return;  // several workers keep meeting at the barriers, which they would else miss
      }
    }
  }
}

/// Ends a phase: from here on nobody is in the one before. Returns the new phase's claims, and sets
/// back those of the one after it, which were last used in the phase that has ended.
StepRunner::Claims& StepRunner::NextPhase(uint32_t worker, uint32_t& phase) {
  workers_.Barrier(step_->step->workers);
  ++phase;
  if (worker == 0) claims_[(phase + 1) % 2].next.store(0, std::memory_order_relaxed);
  return claims_[phase % 2];
}

void StepRunner::Do(uint32_t worker, const BoundAction& action, Claims& claims) {
  if (observer_ != nullptr && worker == 0) {
    observer_->ActionComes(*step_->step, action.kind, action.index);
  }
  if (action.kind == plan::ActionKind::kCompute) {
    Compute(worker, action, claims);
  } else {
    Transfer(worker, action);
  }
}

void StepRunner::Compute(uint32_t worker, const BoundAction& action, Claims& claims) {
  const BoundPart& part = step_->parts[action.index];
  const uint32_t workers = step_->step->workers;
  const uint32_t groups = static_cast<uint32_t>(part.groups.size());
  kernels::RowRange rows{action.begin, action.end};
  if (part.split == plan::Split::kPanels) {
    while (!Failed()) {
      const uint32_t group = claims.next.fetch_add(1, std::memory_order_relaxed);
      if (group >= groups) return;
      ComputeGroup(worker, action, group, group + workers, rows);
    }
    return;
  }
  if (part.split == plan::Split::kRows) {
    rows = ShareOf(rows, kernels::RowGranule(*part.node), worker, workers);
  } else if (worker != 0) {
    return;
  }
  if (rows.count() == 0) return;
  if (part.row_kernel != nullptr) {  // no weights, or one constant block
    ComputeChunk(worker, part, 0, part.held, rows, nullptr);
    return;
  }
  for (uint32_t group = 0; group < groups && !Failed(); ++group) {
    ComputeGroup(worker, action, group, group + 1, rows);
  }
}

void StepRunner::Transfer(uint32_t worker, const BoundAction& action) {
  const BoundWindow& window = step_->windows[action.index];
  const uint32_t before = states_[worker].turn * window.outside.blocks_per_input;
  for (uint32_t block = before + action.begin + worker; block < before + action.end && !Failed();
       block += step_->step->workers) {
    if (action.kind == plan::ActionKind::kOpen) {
      OpenBlock(worker, window, block);
    } else {
      SealBlock(worker, window, block);
    }
    WorkerState& state = states_[worker];
    (window.spilled ? state.spilled_bytes : state.transferred_bytes) +=
        window.outside.BlockBytes(block);
  }
}

void StepRunner::OpenBlock(uint32_t worker, const BoundWindow& window, uint32_t block) {
  const crypto::Verdict verdict = store_->OpenBlock(
      worker, window.outside.slot, block, window.Block(block), window.outside.counters[block]);
  if (verdict == crypto::Verdict::kTampered) Fail(StepOutcome::kTamperedRows);
}

void StepRunner::SealBlock(uint32_t worker, const BoundWindow& window, uint32_t block) {
  const SealOutcome outcome = store_->SealBlock(
      worker, window.outside.slot, block, window.Block(block), window.outside.counters[block]);
  if (outcome == SealOutcome::kRefused) Fail(StepOutcome::kSealRefused);
}

void StepRunner::ComputeGroup(uint32_t worker, const BoundAction& action, uint32_t group,
                              uint32_t following_group, kernels::RowRange rows) {
  const BoundPart& part = step_->parts[action.index];
  const std::vector<graph::ChunkDescriptor>& chunks = part.node->weights.chunks;
  const ChunkGroup range = part.groups[group];
  uint64_t offset = range.offset;
  for (uint32_t chunk = range.begin; chunk < range.end; ++chunk) {
    const std::byte* text = nullptr;
    if (part.held != nullptr) {
      text = part.held + offset;
    } else {
      std::byte* const slot = pool_.data() + step_->step->slots[worker].offset;
      if (!Open(worker, chunks[chunk], slot)) return;
      text = slot;
    }
    offset += chunks[chunk].bytes;
    kernels::Prefetch prefetch;
    if (chunk + 1 < range.end) {
      prefetch = PrefetchOf(worker, part, chunk + 1, offset);
    } else if (following_group < part.groups.size()) {
      const ChunkGroup& following = part.groups[following_group];
      prefetch = PrefetchOf(worker, part, following.begin, following.offset);
    } else {
      prefetch = PrefetchFollowing(worker, action.following);
    }
    ComputeChunk(worker, part, chunk, text, rows, &prefetch);
  }
}

void StepRunner::ComputeChunk(uint32_t worker, const BoundPart& part, uint32_t chunk,
                              const std::byte* text, kernels::RowRange rows,
                              kernels::Prefetch* prefetch) {
  const std::span<std::byte> workspace = WorkspaceOf(worker);
  const std::span<const kernels::Image> images =
      std::span(part.images).subspan(states_[worker].turn * part.turn_images, part.turn_images);
  if (part.row_kernel != nullptr) {
    const auto* const constants = reinterpret_cast<const float*>(text);
    part.row_kernel({part.graph, part.node, images, constants, workspace}, rows);
    return;
  }
  part.panel_kernel(
      {part.graph, part.node, images, &part.node->weights.chunks[chunk], text, workspace, prefetch},
      rows);
}

/// The chunk where it is read from next: open in memory (`offset` bytes into the part's weights),
/// or sealed.
kernels::Prefetch StepRunner::PrefetchOf(uint32_t worker, const BoundPart& part, uint32_t chunk,
                                         uint64_t offset) const {
  const graph::ChunkDescriptor& next = part.node->weights.chunks[chunk];
  if (part.held != nullptr) return {part.held + offset, part.held + offset + next.bytes};
  return PrefetchSealed(worker, next);
}

kernels::Prefetch StepRunner::PrefetchSealed(uint32_t worker,
                                             const graph::ChunkDescriptor& chunk) const {
  const Bytes next = states_[worker].opener->Ciphertext(chunk.index);
  return {next.data(), next.data() + next.size()};
}

kernels::Prefetch StepRunner::PrefetchFollowing(uint32_t worker, const BoundPart* following) const {
  if (following == nullptr) return {};
  const bool shared = following->split == plan::Split::kPanels && worker < following->groups.size();
  const ChunkGroup& first = following->groups[shared ? worker : 0];
  if (following->weights == plan::WeightsMode::kHeld) {  // not open yet
    return PrefetchSealed(worker, following->node->weights.chunks[first.begin]);
  }
  return PrefetchOf(worker, *following, first.begin, first.offset);
}

std::span<std::byte> StepRunner::WorkspaceOf(uint32_t worker) const {
  if (worker >= step_->step->workspaces.size()) return {};
  const plan::PoolRange range = step_->step->workspaces[worker];
  return pool_.subspan(range.offset, range.bytes);
}

void StepRunner::OpenClaimed(uint32_t worker, Claims& claims) {
  while (!Failed()) {
    const uint32_t mine = claims.next.fetch_add(1, std::memory_order_relaxed);
    if (mine >= held_.size()) return;
    if (observer_ != nullptr && worker == 0) observer_->ChunkComes(*held_[mine].chunk);
    if (!Open(worker, *held_[mine].chunk, held_[mine].plain)) return;
  }
}

bool StepRunner::Open(uint32_t worker, const graph::ChunkDescriptor& chunk, std::byte* plain) {
  WorkerState& state = states_[worker];
  const uint64_t start = clock_ != nullptr ? clock_->NowNanoseconds() : 0;
  const crypto::Verdict verdict = state.opener->Open(chunk.index, {plain, chunk.bytes});
  if (clock_ != nullptr) state.decrypt_ns += clock_->NowNanoseconds() - start;
  state.decrypted_bytes += chunk.SealedBytes();
  if (verdict == crypto::Verdict::kAuthentic) return true;
  Fail(StepOutcome::kTamperedWeights);
  return false;
}

}  // namespace coracle::runtime
