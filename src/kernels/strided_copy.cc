#include "kernels/strided_copy.h"

#include <algorithm>
#include <cstring>

namespace coracle::kernels {
namespace {

/// Elements of the inner axis that are copied for each step of the outer one, where neither side of
/// the inner axis is contiguous in both: a cache line of the other side is then used whole.
constexpr uint32_t kBlock = 16;

void CopyRun(const float* in, ptrdiff_t in_stride, float* out, ptrdiff_t out_stride,
             uint32_t count) {
  if (in_stride == 1 && out_stride == 1) {
    std::memcpy(out, in, count * sizeof(float));
    return;
  }
  for (uint32_t i = 0; i < count; ++i) {
    *out = *in;
    in += in_stride;
    out += out_stride;
  }
}

}  // namespace

void StridedCopy::AddAxis(uint32_t count, ptrdiff_t out_stride, ptrdiff_t in_stride) {
  if (count == 1) return;
  if (rank_ > 0) {
    Axis& outer = axes_[rank_ - 1];
    if (outer.out == out_stride * ptrdiff_t{count} && outer.in == in_stride * ptrdiff_t{count}) {
      outer = {outer.count * count, out_stride, in_stride};
      return;
    }
  }
  axes_[rank_++] = {count, out_stride, in_stride};
}

void StridedCopy::RunPlane(const float* in, float* out) const {
  if (rank_ == 0) {
    *out = *in;
    return;
  }
  const Axis& inner = axes_[rank_ - 1];
  const Axis outer = rank_ > 1 ? axes_[rank_ - 2] : Axis{};
  const bool contiguous = inner.in == 1 && inner.out == 1;
  const uint32_t block = contiguous ? inner.count : kBlock;
  for (uint32_t begin = 0; begin < inner.count; begin += block) {
    const uint32_t count = std::min(block, inner.count - begin);
    const float* from = in + ptrdiff_t{begin} * inner.in;
    float* to = out + ptrdiff_t{begin} * inner.out;
    for (uint32_t i = 0; i < outer.count; ++i) {
      CopyRun(from, inner.in, to, inner.out, count);
      from += outer.in;
      to += outer.out;
    }
  }
}

void StridedCopy::Run(const float* in, float* out) const {
  const uint32_t loops = rank_ > 2 ? rank_ - 2 : 0;
  std::array<uint32_t, kMaxRank + 1> at{};
  while (true) {
    RunPlane(in, out);
    uint32_t axis = loops;
    while (axis-- > 0) {
      in += axes_[axis].in;
      out += axes_[axis].out;
      if (++at[axis] < axes_[axis].count) break;
      in -= axes_[axis].in * ptrdiff_t{axes_[axis].count};
      out -= axes_[axis].out * ptrdiff_t{axes_[axis].count};
      at[axis] = 0;
    }
    if (axis == UINT32_MAX) return;
  }
}

}  // namespace coracle::kernels
