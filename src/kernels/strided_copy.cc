#include "kernels/strided_copy.h"

#include <algorithm>
#include <cstring>

#include "kernels/index_map.h"

namespace coracle::kernels {
namespace {

/// Bytes of the inner axis that are copied for each step of the outer one, where neither side of
/// the inner axis is contiguous in both: a cache line of the other side is then used whole.
constexpr uint32_t kBlockBytes = 64;

/// Two axes, element by element.
template <typename Element, typename Axis>
void CopyScattered(const Axis& outer, const Axis& inner, const std::byte* in, std::byte* out) {
  constexpr uint32_t kBlock = kBlockBytes / sizeof(Element);
  for (uint32_t begin = 0; begin < inner.count; begin += kBlock) {
    const uint32_t count = std::min(kBlock, inner.count - begin);
    for (uint32_t i = 0; i < outer.count; ++i) {
      const std::byte* from = in + ptrdiff_t{begin} * inner.in + ptrdiff_t{i} * outer.in;
      std::byte* to = out + ptrdiff_t{begin} * inner.out + ptrdiff_t{i} * outer.out;
      for (uint32_t j = 0; j < count; ++j, from += inner.in, to += inner.out) {
        std::memcpy(to, from, sizeof(Element));
      }
    }
  }
}

}  // namespace

void StridedCopy::AddAxis(uint32_t count, ptrdiff_t out_stride, ptrdiff_t in_stride) {
  if (count == 1) return;
  out_stride *= element_bytes_;
  in_stride *= element_bytes_;
  if (rank_ > 0) {
    Axis& outer = axes_[rank_ - 1];
    if (outer.out == out_stride * ptrdiff_t{count} && outer.in == in_stride * ptrdiff_t{count}) {
      outer = {outer.count * count, out_stride, in_stride};
      return;
    }
  }
  axes_[rank_++] = {count, out_stride, in_stride};
}

void StridedCopy::RunPlane(const std::byte* in, std::byte* out) const {
  if (rank_ == 0) return CopyElement(out, in, element_bytes_);
  const Axis& inner = axes_[rank_ - 1];
  const Axis outer = rank_ > 1 ? axes_[rank_ - 2] : Axis{};
  if (inner.in == inner.out && inner.in == ptrdiff_t{element_bytes_}) {
    const size_t bytes = size_t{inner.count} * element_bytes_;
    for (uint32_t i = 0; i < outer.count; ++i, in += outer.in, out += outer.out) {
      std::memcpy(out, in, bytes);
    }
  } else if (element_bytes_ == 1) {
    CopyScattered<uint8_t>(outer, inner, in, out);
  } else {
    CopyScattered<float>(outer, inner, in, out);
  }
}

void StridedCopy::Run(const std::byte* in, std::byte* out) const {
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
