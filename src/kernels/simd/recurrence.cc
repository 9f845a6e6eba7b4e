// Recurrence: per step, all sums h R + b of up to four sequences into the workspace, in strips of
// columns that stay in registers while K runs; then gates and states, a vector of units at a time.
// Each sum is one FMA chain over K from the bias, whatever the strip.
#include "kernels/recurrence.h"

#include <algorithm>
#include <array>

#include "base/index.h"
#include "kernels/kernel.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/simd/recurrence.cc"
#include "hwy/foreach_target.h"
// Highway's order.
#include "hwy/highway.h"
#include "kernels/simd/activation-inl.h"
#include "kernels/simd/row_kernels.h"
#include "kernels/simd/vectors-inl.h"

HWY_BEFORE_NAMESPACE();
namespace coracle::kernels::HWY_NAMESPACE {
namespace {

using graph::CellKind;

constexpr uint32_t kStripVecs = 4;
/// Sequences that share the weights in registers: what is left of those for sums.
constexpr uint32_t kSharing = HWY_TARGET == HWY_AVX3 ? kRecurrenceImages : 2;

/// Neighbouring columns of a panel.
struct Strip {
  const float* weights = nullptr;  // the first column's bias
  size_t width = 0;                // of the panel: floats from row to row
  size_t column = 0;               // of the stage
};

/// What every sequence multiplies, and where its sums go.
struct Sequences {
  std::array<const float*, kRecurrenceImages> h{};
  std::array<float*, kRecurrenceImages> sums{};
  uint32_t hidden = 0;
};

template <uint32_t kStrips, uint32_t kVecs, uint32_t kSequences>
HWY_NOINLINE void MultiplyStrips(const Strip* strips, const Sequences& sequences, uint32_t first) {
  const FloatTag d;
  const size_t lanes = FloatLanes();
  const float* w[kStrips];
  FloatVec sums[kStrips][kVecs][kSequences];
  for (uint32_t t = 0; t < kStrips; ++t) {
    w[t] = strips[t].weights;
    for (uint32_t v = 0; v < kVecs; ++v) {
      const FloatVec bias = hn::Load(d, w[t] + v * lanes);
      for (uint32_t s = 0; s < kSequences; ++s) sums[t][v][s] = bias;
    }
  }
  for (uint32_t k = 0; k < sequences.hidden; ++k) {
    FloatVec h[kSequences];
    for (uint32_t s = 0; s < kSequences; ++s) h[s] = Splat(sequences.h[first + s][k]);
    for (uint32_t t = 0; t < kStrips; ++t) {
      w[t] += strips[t].width;
      for (uint32_t v = 0; v < kVecs; ++v) {
        const FloatVec weights = hn::Load(d, w[t] + v * lanes);
        for (uint32_t s = 0; s < kSequences; ++s) {
          sums[t][v][s] = hn::MulAdd(h[s], weights, sums[t][v][s]);
        }
      }
    }
  }
  for (uint32_t t = 0; t < kStrips; ++t) {
    for (uint32_t v = 0; v < kVecs; ++v) {
      for (uint32_t s = 0; s < kSequences; ++s) {
        hn::Store(sums[t][v][s], d, sequences.sums[first + s] + strips[t].column + v * lanes);
      }
    }
  }
}

using StripKernel = void (*)(const Strip*, const Sequences&, uint32_t first);

template <uint32_t kStrips, uint32_t kVecs>
StripKernel StripKernelFor(uint32_t sequences) {
  if (sequences == 1) return MultiplyStrips<kStrips, kVecs, 1>;
#if HWY_TARGET == HWY_AVX3
  if (sequences == 3) return MultiplyStrips<kStrips, kVecs, 3>;
  if (sequences == 4) return MultiplyStrips<kStrips, kVecs, 4>;
#endif
  return MultiplyStrips<kStrips, kVecs, 2>;
}

StripKernel SingleStripKernel(uint32_t vecs, uint32_t sequences) {
  switch (vecs) {
    case 1:
      return StripKernelFor<1, 1>(sequences);
    case 2:
      return StripKernelFor<1, 2>(sequences);
    case 3:
      return StripKernelFor<1, 3>(sequences);
    default:
      return StripKernelFor<1, kStripVecs>(sequences);
  }
}

/// The strips of one stage's panels, one after the other.
class StripWalk {
 public:
  StripWalk(const float* block, uint32_t columns, uint32_t hidden)
      : block_(block), columns_(columns), hidden_(hidden) {}

  /// False: no more.
  bool Next(Strip& strip, uint32_t& vecs) {
    const auto lanes = static_cast<uint32_t>(FloatLanes());
    if (column_ == columns_) return false;
    const uint32_t first = column_ / kPanelChannels * kPanelChannels;
    const uint32_t width = std::min(kPanelChannels, columns_ - first);
    const uint32_t inside = column_ - first;
    vecs = std::min(kStripVecs, (width - inside) / lanes);
    strip = {block_ + size_t{first} * (hidden_ + 1) + inside, width, column_};
    column_ += vecs * lanes;
    return true;
  }

 private:
  const float* block_;
  uint32_t columns_;
  uint32_t hidden_;
  uint32_t column_ = 0;
};

/// All sums of a stage. A lone sequence takes two strips at a time: more chains, that do not wait
/// for one another.
void MultiplyStage(const float* block, uint32_t columns, const Sequences& sequences,
                   uint32_t count) {
  for (uint32_t first = 0; first < count; first += kSharing) {
    const uint32_t sharing = std::min(kSharing, count - first);
    StripWalk walk(block, columns, sequences.hidden);
    Strip strips[2];
    uint32_t vecs[2];
    bool more = walk.Next(strips[0], vecs[0]);
    while (more) {
      more = walk.Next(strips[1], vecs[1]);
      if (more && sharing == 1 && vecs[0] == kStripVecs && vecs[1] == kStripVecs) {
        MultiplyStrips<2, kStripVecs, 1>(strips, sequences, first);
        more = walk.Next(strips[0], vecs[0]);
        continue;
      }
      SingleStripKernel(vecs[0], sharing)(strips, sequences, first);
      strips[0] = strips[1];
      vecs[0] = vecs[1];
    }
  }
}

/// Floats [p + j, p + j + left), at most a vector of them.
HWY_INLINE FloatVec LoadUnits(const float* p, size_t left) {
  return left >= FloatLanes() ? hn::LoadU(FloatTag(), p) : LoadSome(p, left);
}
HWY_INLINE void StoreUnits(FloatVec v, float* p, size_t left) {
  if (left >= FloatLanes()) return hn::StoreU(v, FloatTag(), p);
  StoreSome(v, p, left);
}

/// One step of one sequence, once its sums are there.
struct StepRows {
  const float* x = nullptr;
  const float* sums = nullptr;  ///< gates `padded` floats apart
  const float* h = nullptr;     ///< before the step; may be the same memory as `out`
  const float* c = nullptr;     ///< LSTM
  float* passed = nullptr;      ///< kGru: r h, `padded` floats
  float* out = nullptr;
};

class Gates {
 public:
  explicit Gates(const graph::Recurrence& attrs)
      : hidden_(attrs.hidden), padded_(CellGeometry(attrs).padded), clip_(attrs.clip) {}

  void Elman(const StepRows& step) const {
    for (size_t j = 0; j < hidden_; j += FloatLanes()) {
      StoreUnits(Tanh(Gate(step, 0, j)), step.out + j, hidden_ - j);
    }
  }

  void Lstm(const StepRows& step) const {
    for (size_t j = 0; j < hidden_; j += FloatLanes()) {
      const size_t left = hidden_ - j;
      const FloatVec i = Sigmoid(Gate(step, 0, j));
      const FloatVec o = Sigmoid(Gate(step, 1, j));
      const FloatVec f = Sigmoid(Gate(step, 2, j));
      const FloatVec g = Tanh(Gate(step, 3, j));
      const FloatVec c = hn::MulAdd(f, LoadUnits(step.c + j, left), hn::Mul(i, g));
      StoreUnits(hn::Mul(o, Tanh(c)), step.out + j, left);
      StoreUnits(c, step.out + hidden_ + j, left);
    }
  }

  /// kGru: what of h the second stage multiplies.
  void GruPass(const StepRows& step) const {
    for (size_t j = 0; j < hidden_; j += FloatLanes()) {
      const size_t left = hidden_ - j;
      const FloatVec r = Sigmoid(Gate(step, 1, j));
      StoreUnits(hn::Mul(r, LoadUnits(step.h + j, left)), step.passed + j, left);
    }
  }

  template <CellKind kCell>
  void Gru(const StepRows& step) const {
    for (size_t j = 0; j < hidden_; j += FloatLanes()) {
      const size_t left = hidden_ - j;
      FloatVec n;
      if constexpr (kCell == CellKind::kGru) {
        n = Gate(step, 2, j);
      } else {
        const FloatVec r = Sigmoid(Gate(step, 1, j));
        const FloatVec x = LoadUnits(step.x + 2 * hidden_ + j, left);
        n = Clipped(hn::MulAdd(r, SumsOf(step, 2, j), x));
      }
      n = Tanh(n);
      const FloatVec z = Sigmoid(Gate(step, 0, j));
      // (1 - z) n + z h
      const FloatVec h = LoadUnits(step.h + j, left);
      StoreUnits(hn::MulAdd(z, hn::Sub(h, n), n), step.out + j, left);
    }
  }

 private:
  HWY_INLINE FloatVec Clipped(FloatVec x) const {
    if (clip_ == 0) return x;
    return hn::Min(hn::Max(x, Splat(-clip_)), Splat(clip_));
  }
  HWY_INLINE FloatVec SumsOf(const StepRows& step, size_t gate, size_t j) const {
    return hn::Load(FloatTag(), step.sums + gate * padded_ + j);
  }
  HWY_INLINE FloatVec Gate(const StepRows& step, size_t gate, size_t j) const {
    const FloatVec x = LoadUnits(step.x + gate * hidden_ + j, hidden_ - j);
    return Clipped(hn::Add(x, SumsOf(step, gate, j)));
  }

  size_t hidden_;
  size_t padded_;
  float clip_;
};

/// Up to kRecurrenceImages sequences, step by step.
class Layer {
 public:
  Layer(const RowArgs& args, std::span<const Image> images)
      : attrs_(std::get<graph::Recurrence>(args.node->attrs)),
        cell_(attrs_),
        gates_(attrs_),
        constants_(args.constants),
        images_(images),
        workspace_(reinterpret_cast<float*>(args.workspace.data())) {
    std::fill_n(Zeros(), cell_.padded, 0.0F);
  }

  void Step(uint32_t step) {
    std::array<StepRows, kRecurrenceImages> rows;
    Sequences sequences;
    sequences.hidden = cell_.hidden;
    for (uint32_t s = 0; s < images_.size(); ++s) {
      rows[s] = RowsAt(s, step);
      sequences.h[s] = rows[s].h;
      sequences.sums[s] = Sums(s);
    }
    const auto count = static_cast<uint32_t>(images_.size());
    MultiplyStage(constants_, cell_.StageColumns(cell_.stages[0]), sequences, count);
    if (attrs_.cell == CellKind::kGru) PassGru(rows.data(), sequences, count);
    for (uint32_t s = 0; s < count; ++s) Finish(rows[s]);
  }

 private:
  float* Zeros() const { return workspace_; }
  float* Sums(uint32_t s) const {
    return workspace_ + (size_t{1} + size_t{s} * (cell_.gates + 1)) * cell_.padded;
  }

  StepRows RowsAt(uint32_t s, uint32_t step) const {
    const Image& image = images_[s];
    const Rows& in = image.inputs[0];
    const bool forward = attrs_.order == graph::TimeOrder::kForward;
    StepRows rows;
    rows.x = in.Row(forward ? step : in.rows - 1 - step);
    rows.sums = Sums(s);
    rows.passed = Sums(s) + size_t{cell_.gates} * cell_.padded;
    rows.out = image.output.Row(step);
    if (step > 0) {
      rows.h = image.output.Row(step - 1);
      rows.c = rows.h + cell_.hidden;
      return rows;
    }
    rows.h = FirstState(image, 0);
    rows.c = cell_.states > 1 ? FirstState(image, 1) : nullptr;
    return rows;
  }

  const float* FirstState(const Image& image, uint32_t state) const {
    switch (attrs_.initial) {
      case graph::InitialState::kZero:
        return Zeros();
      case graph::InitialState::kConstant:
        return constants_ + cell_.StateOffset() + size_t{state} * cell_.padded;
      case graph::InitialState::kTensors:
        break;
    }
    return image.inputs[1 + state].Row(0);
  }

  /// The candidate's sums, of r h.
  void PassGru(const StepRows* rows, Sequences& sequences, uint32_t count) const {
    for (uint32_t s = 0; s < count; ++s) {
      gates_.GruPass(rows[s]);
      sequences.h[s] = rows[s].passed;
      sequences.sums[s] += size_t{cell_.stages[1].first_gate} * cell_.padded;
    }
    MultiplyStage(constants_ + cell_.StageFloats(cell_.stages[0]),
                  cell_.StageColumns(cell_.stages[1]), sequences, count);
  }

  void Finish(const StepRows& rows) const {
    switch (attrs_.cell) {
      case CellKind::kElman:
        return gates_.Elman(rows);
      case CellKind::kGru:
        return gates_.Gru<CellKind::kGru>(rows);
      case CellKind::kGruResetAfter:
        return gates_.Gru<CellKind::kGruResetAfter>(rows);
      case CellKind::kLstm:
        return gates_.Lstm(rows);
    }
  }

  const graph::Recurrence& attrs_;
  const CellGeometry cell_;
  const Gates gates_;
  const float* constants_;
  std::span<const Image> images_;
  float* workspace_;
};

void Recurrence(const RowArgs& args, RowRange rows) {
  for (size_t first = 0; first < args.images.size(); first += kRecurrenceImages) {
    const size_t count = std::min<size_t>(kRecurrenceImages, args.images.size() - first);
    Layer layer(args, args.images.subspan(first, count));
    for (uint32_t step = rows.begin; step < rows.end; ++step) layer.Step(step);
  }
}

}  // namespace

void AddRecurrence(KernelSet& set) { set.rows[Position(graph::OpKind::kRecurrence)] = Recurrence; }

}  // namespace coracle::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace coracle::kernels {

void AddRecurrenceKernel(int64_t hwy_target, KernelSet& set) {
  CORACLE_CALL_FOR_TARGET(hwy_target, AddRecurrence, set)
}

}  // namespace coracle::kernels
#endif
