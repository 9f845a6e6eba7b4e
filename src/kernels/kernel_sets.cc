// The SIMD kernel sets: one per Highway target that this machine runs.
#include <array>
#include <cstdint>

#include "base/check.h"
#include "base/index.h"
#include "hwy/targets.h"
#include "kernels/kernel.h"
#include "kernels/movement.h"
#include "kernels/simd/depthwise.h"
#include "kernels/simd/dot8.h"
#include "kernels/simd/panels.h"
#include "kernels/simd/row_kernels.h"
#include "kernels/simd/winograd.h"

namespace coracle::kernels {
namespace {

KernelSet MakeSimdKernels(int64_t target) {
  using graph::OpKind;
  KernelSet set{.name = hwy::TargetName(target),
                .panels = SimdPanels(target),
                .winograd = SimdWinograd(target),
                .depthwise = SimdDepthwise(target),
                .integer_panels = SimdIntegerPanels(target),
                .integer_depthwise = SimdIntegerDepthwise(target)};
  AddElementwiseKernels(target, set);
  AddNormKernels(target, set);
  AddPoolKernels(target, set);
  AddMatMulKernel(target, set);
  AddResizeKernel(target, set);
  AddRecurrenceKernel(target, set);
  AddAttentionKernel(target, set);
  AddQuantizeKernels(target, set);
  set.rows[Position(OpKind::kConcat)] = MoveConcat;
  set.rows[Position(OpKind::kSlice)] = MoveSlice;
  set.rows[Position(OpKind::kTranspose)] = MoveTranspose;
  set.rows[Position(OpKind::kReshape)] = MoveReshape;
  set.rows[Position(OpKind::kPad)] = MovePad;
  set.rows[Position(OpKind::kReorg)] = MoveReorg;
  return set;
}

/// The sets that this machine can run. Built once, before the first prediction.
class RunnableSets {
 public:
  RunnableSets() {
    // Highway numbers its targets best first; the static one runs everywhere.
    const int64_t runnable = (hwy::SupportedTargets() & HWY_TARGETS) | HWY_STATIC_TARGET;
    for (int64_t left = runnable; left != 0 && count_ < kTargetsMax; left &= left - 1) {
      sets_[count_] = MakeSimdKernels(left & -left);
      pointers_[count_] = &sets_[count_];
      ++count_;
    }
  }
  std::span<const KernelSet* const> All() const { return {pointers_.data(), count_}; }

 private:
  static constexpr size_t kTargetsMax = 8;
  std::array<KernelSet, kTargetsMax> sets_{};
  std::array<const KernelSet*, kTargetsMax> pointers_{};
  size_t count_ = 0;
};

}  // namespace

std::span<const KernelSet* const> AllSimdKernels() {
  static const RunnableSets sets;
  return sets.All();
}

const KernelSet& SimdKernels() { return *AllSimdKernels().front(); }

}  // namespace coracle::kernels
