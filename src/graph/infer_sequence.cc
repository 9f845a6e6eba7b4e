// Shape rules of the operators over sequences.
#include <fmt/format.h>

#include <cmath>

#include "graph/infer_rules.h"
#include "graph/verify.h"

namespace coracle::graph {

Result<Shape> InferRecurrence(const Recurrence& attrs, const ShapeCall& call) {
  if (attrs.cell > CellKind::kLstm || attrs.order > TimeOrder::kBackward ||
      attrs.initial > InitialState::kTensors || !std::isfinite(attrs.clip) || attrs.clip < 0) {
    return ShapeError(call, "its attributes are out of range");
  }
  if (attrs.hidden == 0 || attrs.hidden > kMaxDimension / GateCount(attrs.cell)) {
    return ShapeError(call, fmt::format("cannot have {} hidden units", attrs.hidden));
  }
  const Shape& in = call.input();
  if (in.rank() != 3 || in[2] != GateCount(attrs.cell) * attrs.hidden) {
    return ShapeError(call, fmt::format("{} is not [N, T, {} gates of {}]", in.ToString(),
                                        GateCount(attrs.cell), attrs.hidden));
  }
  for (const Shape& state : call.inputs.subspan(1)) {
    if (state != Shape{in[0], 1, attrs.hidden}) {
      return ShapeError(call, "its initial state has another shape: " + state.ToString());
    }
  }
  return Shape{in[0], in[1], StateChannels(attrs)};
}

namespace {

/// True if `mask` has these dimensions, or 1 for heads and queries.
bool MaskFits(const Shape& mask, uint32_t images, uint32_t heads, uint32_t queries, uint32_t keys,
              Stage stage) {
  if (mask.rank() != 4 || mask[0] != images || mask[3] != keys) return false;
  const uint32_t mask_heads = mask[stage == Stage::kRows ? 2 : 1];
  const uint32_t mask_queries = mask[stage == Stage::kRows ? 1 : 2];
  return (mask_heads == heads || mask_heads == 1) && (mask_queries == queries || mask_queries == 1);
}

}  // namespace

Result<Shape> InferAttention(const Attention& attrs, const ShapeCall& call) {
  if (!std::isfinite(attrs.scale) || attrs.mask > AttentionMask::kConstant) {
    return ShapeError(call, "its attributes are out of range");
  }
  const Shape& q = call.inputs[0];
  const Shape& k = call.inputs[1];
  const Shape& v = call.inputs[2];
  if (q.rank() != 4 || k.rank() != 4 || v.rank() != 4) {
    return ShapeError(call, "needs queries, keys and values of rank 4");
  }
  const bool rows = call.stage == Stage::kRows;
  const uint32_t heads = rows ? 2 : 1;
  const uint32_t tokens = rows ? 1 : 2;
  const bool fits = q[0] == k[0] && q[heads] == k[heads] && q[3] == k[3] && k[0] == v[0] &&
                    k[heads] == v[heads] && k[tokens] == v[tokens];
  if (!fits) {
    return ShapeError(call, fmt::format("queries {}, keys {} and values {} do not match",
                                        q.ToString(), k.ToString(), v.ToString()));
  }
  const bool constant = attrs.mask == AttentionMask::kConstant;
  if (!constant && attrs.mask_shape.rank() != 0) return ShapeError(call, "has a stray mask shape");
  if (attrs.mask != AttentionMask::kNone) {
    const Shape& mask = constant ? attrs.mask_shape : call.inputs[3];
    if (!MaskFits(mask, constant ? 1 : q[0], q[heads], q[tokens], k[tokens], call.stage)) {
      return ShapeError(call, "its mask does not fit: " + mask.ToString());
    }
  }
  Shape out = q;
  out.Set(3, v[3]);
  return out;
}

}  // namespace coracle::graph
