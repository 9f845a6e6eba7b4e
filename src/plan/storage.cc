#include "plan/storage.h"

#include <algorithm>
#include <optional>

#include "base/checked.h"
#include "graph/tensor_bytes.h"
#include "kernels/kernel.h"
#include "plan/plan.h"

namespace coracle::plan {
namespace {

using graph::Graph;
using graph::Node;
using graph::OpKind;
using graph::TensorIndex;

/// A tensor as pixels of contiguous channels.
struct Grid {
  uint64_t pixels = 1;
  uint64_t channel_bytes = 0;
  uint64_t Bytes() const { return pixels * channel_bytes; }
};

Grid GridOf(const Graph& graph, TensorIndex tensor) {
  const graph::RowShape rows = graph::RowsOf(graph.shape(tensor));
  return {rows.AllRows() * rows.pixels, graph::PixelBytes(graph, tensor)};
}

/// True if dimensions before `axis` are all 1, so that ranges of the axis are contiguous.
bool IsOutermost(const Shape& shape, uint32_t axis) {
  for (uint32_t before = 0; before < axis; ++before) {
    if (shape[before] != 1) return false;
  }
  return true;
}

/// Pixels that one step along `axis` (not the last) skips.
uint64_t PixelsBehind(const Shape& shape, uint32_t axis) {
  uint64_t pixels = 1;
  for (uint32_t after = axis + 1; after + 1 < shape.rank(); ++after) pixels *= shape[after];
  return pixels;
}

/// Where a window of one tensor begins in another.
struct Window {
  uint64_t pixel = 0;
  uint64_t channel_bytes = 0;
};

/// The window that a Slice shows, if strides can express it.
std::optional<Window> WindowOf(const Graph& graph, const Node& node) {
  const auto& slice = std::get<graph::Slice>(node.attrs);
  const Shape& in = graph.shape(node.inputs[0]);
  const Shape& out = graph.shape(node.output);
  Window window;
  for (uint32_t axis = 0; axis < in.rank(); ++axis) {
    if (in[axis] == out[axis] && slice.starts[axis] == 0) continue;
    if (slice.steps[axis] != 1 && out[axis] != 1) return std::nullopt;
    const auto start = static_cast<uint64_t>(slice.starts[axis]);
    if (axis + 1 == in.rank()) {
      window.channel_bytes = start * graph::ElementBytes(graph, node.inputs[0]);
    } else if (IsOutermost(in, axis)) {
      window.pixel += start * PixelsBehind(in, axis);
    } else {
      return std::nullopt;
    }
  }
  return window;
}

class Sharer {
 public:
  Sharer(const Graph& graph, const std::vector<LiveRange>& ranges, Sharing sharing,
         const std::vector<uint64_t>& least_scratch_bytes, const std::vector<bool>& outside)
      : graph_(graph),
        ranges_(ranges),
        sharing_(sharing),
        outside_(outside),
        load_(least_scratch_bytes) {
    outside_.resize(graph.tensors.size());
    load_.resize(graph.nodes.size());
    map_.elided.resize(graph.nodes.size());
    fixed_.resize(graph.tensors.size());
    for (size_t i = 0; i < graph.tensors.size(); ++i) {
      const auto tensor = static_cast<TensorIndex>(i);
      const Grid grid = GridOf(graph, tensor);
      grids_.push_back(grid);
      map_.views.push_back({static_cast<StorageIndex>(i), 0, grid.channel_bytes});
      map_.storages.emplace_back();
      if (outside_[i]) continue;
      map_.storages.back() = {grid.Bytes(), 0, ranges[i].first, ranges[i].last, {tensor}};
      AddLoad(map_.storages.back(), +1);
    }
  }

  StorageMap Run() {
    for (StepNumber step = 0; step < graph_.nodes.size(); ++step) {
      const Node& node = graph_.nodes[step];
      if (TouchesOutside(node) || MixesTypes(node)) continue;
      switch (node.kind()) {
        case OpKind::kReshape:
          map_.elided[step] = ShareReshape(node);
          break;
        case OpKind::kConcat:
          map_.elided[step] = ShareConcat(node);
          break;
        case OpKind::kSlice:
          map_.elided[step] = ShareSlice(node);
          break;
        default:
          ShareInPlace(node, step);
      }
    }
    for (Storage& piece : map_.storages) {
      piece.used_bytes = piece.bytes;
      piece.bytes = RoundUp(piece.bytes, kPoolAlignment);
    }
    return std::move(map_);
  }

 private:
  View& view(TensorIndex tensor) { return map_.views[Position(tensor)]; }
  const Grid& grid(TensorIndex tensor) const { return grids_[Position(tensor)]; }
  const LiveRange& range(TensorIndex tensor) const { return ranges_[Position(tensor)]; }
  Storage& storage(StorageIndex index) { return map_.storages[Position(index)]; }

  void AddLoad(const Storage& piece, int sign) {
    if (sharing_ != Sharing::kSelective) return;
    const size_t end = std::min<size_t>(size_t{piece.last} + 1, load_.size());
    for (size_t step = piece.first; step < end; ++step) {
      load_[step] = sign > 0 ? load_[step] + piece.bytes : load_[step] - piece.bytes;
    }
  }

  uint64_t LoadPeak(StepNumber first, StepNumber last) const {
    uint64_t peak = 0;
    const size_t end = std::min<size_t>(size_t{last} + 1, load_.size());
    for (size_t step = first; step < end; ++step) peak = std::max(peak, load_[step]);
    return peak;
  }

  /// kSelective: true, and counts it, if one storage instead of `parts` raises the peak.
  bool Declines(const std::vector<StorageIndex>& parts, uint64_t bytes) {
    if (sharing_ != Sharing::kSelective) return false;
    Storage merged{bytes, 0, UINT32_MAX, 0, {}};
    for (StorageIndex part : parts) {
      merged.first = std::min(merged.first, storage(part).first);
      merged.last = std::max(merged.last, storage(part).last);
    }
    const uint64_t before = LoadPeak(merged.first, merged.last);
    for (StorageIndex part : parts) AddLoad(storage(part), -1);
    AddLoad(merged, +1);
    const bool declines = LoadPeak(merged.first, merged.last) > before;
    AddLoad(merged, -1);
    for (StorageIndex part : parts) AddLoad(storage(part), +1);
    if (declines) ++map_.declined_count;
    return declines;
  }

  bool TouchesOutside(const Node& node) const {
    return outside_[Position(node.output)] ||
           std::any_of(node.inputs.begin(), node.inputs.end(),
                       [this](TensorIndex input) { return outside_[Position(input)]; });
  }

  /// Elements of one storage are all of one type.
  bool MixesTypes(const Node& node) const {
    const DType type = graph_.tensor(node.output).dtype;
    const bool moves = node.kind() == OpKind::kReshape || node.kind() == OpKind::kConcat ||
                       node.kind() == OpKind::kSlice;
    return moves && std::any_of(node.inputs.begin(), node.inputs.end(), [&](TensorIndex input) {
             return graph_.tensor(input).dtype != type;
           });
  }

  bool IsContiguous(TensorIndex tensor) {
    return grid(tensor).pixels == 1 || view(tensor).pitch == grid(tensor).channel_bytes;
  }

  /// True if the tensor is its storage's whole extent.
  bool Spans(TensorIndex tensor) {
    const View& v = view(tensor);
    return v.offset == 0 && IsContiguous(tensor) &&
           grid(tensor).Bytes() == storage(v.storage).bytes;
  }

  /// Moves all members of `from` into `to`; their views must have been rewritten before.
  void MoveMembers(StorageIndex from, StorageIndex to) {
    Storage& source = storage(from);
    Storage& target = storage(to);
    AddLoad(source, -1);
    AddLoad(target, -1);
    target.first = std::min(target.first, source.first);
    target.last = std::max(target.last, source.last);
    target.members.insert(target.members.end(), source.members.begin(), source.members.end());
    AddLoad(target, +1);
    if (fixed_[Position(from)]) fixed_[Position(to)] = true;
    source = Storage{};
  }

  /// Makes the fresh tensor `tensor` a view of `source`'s storage.
  void ShowAs(TensorIndex tensor, TensorIndex source, uint64_t offset, uint64_t pitch) {
    const StorageIndex from = view(tensor).storage;
    view(tensor) = {view(source).storage, offset, pitch};
    MoveMembers(from, view(source).storage);
  }

  /// Lays the storage that `part` spans into a window of `whole`.
  void LayInto(TensorIndex part, TensorIndex whole, const Window& window) {
    const StorageIndex from = view(part).storage;
    const View target = view(whole);
    const uint64_t old_pitch = grid(part).channel_bytes;
    const uint64_t begin = target.offset + window.pixel * target.pitch + window.channel_bytes;
    for (TensorIndex member : storage(from).members) {
      View& v = view(member);
      const bool keeps = fixed_[Position(from)];
      const uint64_t pixel = keeps ? 0 : v.offset / old_pitch;
      const uint64_t rest = keeps ? v.offset : v.offset % old_pitch;
      v = {target.storage, begin + pixel * target.pitch + rest, keeps ? v.pitch : target.pitch};
    }
    MoveMembers(from, target.storage);
  }

  bool ShareReshape(const Node& node) {
    const TensorIndex in = node.inputs[0];
    const TensorIndex out = node.output;
    const bool same_pixels = grid(in).channel_bytes == grid(out).channel_bytes;
    if (!same_pixels && !IsContiguous(in)) return false;
    if (!same_pixels) fixed_[Position(view(in).storage)] = true;
    ShowAs(out, in, view(in).offset, same_pixels ? view(in).pitch : grid(out).channel_bytes);
    return true;
  }

  bool ShareSlice(const Node& node) {
    if (sharing_ == Sharing::kNone) return false;
    const TensorIndex in = node.inputs[0];
    const std::optional<Window> window = WindowOf(graph_, node);
    if (!window) return false;
    const StorageIndex source = view(in).storage;
    if (Declines({source, view(node.output).storage}, storage(source).bytes)) return false;
    const View& v = view(in);
    ShowAs(node.output, in, v.offset + window->pixel * v.pitch + window->channel_bytes, v.pitch);
    return true;
  }

  /// True if `part` may lie in a window of `whole` instead of in a storage of its own.
  bool CanLayInto(TensorIndex part, TensorIndex whole) {
    if (!Spans(part)) return false;
    for (TensorIndex member : storage(view(part).storage).members) {
      if (range(member).is_input) return false;
    }
    const bool keeps_pitch = grid(part).channel_bytes == grid(whole).channel_bytes;
    return !fixed_[Position(view(part).storage)] || keeps_pitch || grid(whole).pixels == 1;
  }

  bool ShareConcat(const Node& node) {
    const Shape& shape = graph_.shape(node.output);
    const uint32_t axis = std::get<graph::Concat>(node.attrs).axis;
    const bool by_channel = axis + 1 == shape.rank();
    if (sharing_ == Sharing::kNone || (!by_channel && !IsOutermost(shape, axis))) return false;
    std::vector<StorageIndex> parts{view(node.output).storage};
    for (TensorIndex input : node.inputs) {
      if (!CanLayInto(input, node.output)) return false;
      parts.push_back(view(input).storage);
    }
    std::vector<StorageIndex> distinct = parts;
    std::sort(distinct.begin(), distinct.end());
    if (std::adjacent_find(distinct.begin(), distinct.end()) != distinct.end()) return false;
    if (Declines(parts, storage(parts[0]).bytes)) return false;
    Window window;
    for (TensorIndex input : node.inputs) {
      const Grid part = grid(input);
      LayInto(input, node.output, window);
      if (by_channel) {
        window.channel_bytes += part.channel_bytes;
      } else {
        window.pixel += part.pixels;
      }
    }
    return true;
  }

  bool Overlap(TensorIndex a, TensorIndex b) {
    const View& va = view(a);
    const View& vb = view(b);
    const uint64_t end_a = va.offset + (grid(a).pixels - 1) * va.pitch + grid(a).channel_bytes;
    const uint64_t end_b = vb.offset + (grid(b).pixels - 1) * vb.pitch + grid(b).channel_bytes;
    if (end_a <= vb.offset || end_b <= va.offset) return false;
    if (va.pitch != vb.pitch || fixed_[Position(va.storage)]) return true;
    const uint64_t channel_a = va.offset % va.pitch;
    const uint64_t channel_b = vb.offset % vb.pitch;
    return channel_a < channel_b + grid(b).channel_bytes &&
           channel_b < channel_a + grid(a).channel_bytes;
  }

  /// True if nothing but `tensor` itself needs its bytes at `step` or later.
  bool DiesAlone(TensorIndex tensor, StepNumber step) {
    if (range(tensor).last != step) return false;
    for (TensorIndex member : storage(view(tensor).storage).members) {
      if (member != tensor && range(member).last >= step && range(member).first <= step &&
          Overlap(member, tensor)) {
        return false;
      }
    }
    return true;
  }

  bool FeedsConcat(TensorIndex tensor) const {
    const StepNumber last = range(tensor).last;
    return last < graph_.nodes.size() && graph_.nodes[last].kind() == OpKind::kConcat;
  }

  bool MayReplace(const Node& node, uint32_t operand, StepNumber step) {
    const TensorIndex in = node.inputs[operand];
    if (!kernels::InPlaceAllowed(graph_, node, operand)) return false;
    if (std::count(node.inputs.begin(), node.inputs.end(), in) != 1) return false;
    const bool has_panels = node.kind() == OpKind::kConv || node.kind() == OpKind::kDense ||
                            node.kind() == OpKind::kConvTranspose;
    const bool is_residual =
        node.residual != graph::Residual::kNone && operand + 1 == node.inputs.size();
    if (has_panels && (!is_residual || node.weights.SplitsK())) return false;
    return DiesAlone(in, step);
  }

  void ShareInPlace(const Node& node, StepNumber step) {
    for (uint32_t operand = 0; operand < node.inputs.size(); ++operand) {
      const TensorIndex in = node.inputs[operand];
      // A result inside of another tensor's storage could not become a slice of its Concat.
      if (!Spans(in) && FeedsConcat(node.output) && sharing_ != Sharing::kNone) continue;
      if (!MayReplace(node, operand, step)) continue;
      ShowAs(node.output, in, view(in).offset, view(in).pitch);
      return;
    }
  }

  const Graph& graph_;
  const std::vector<LiveRange>& ranges_;
  const Sharing sharing_;
  std::vector<bool> outside_;   // by TensorIndex
  std::vector<uint64_t> load_;  // kSelective: live bytes of each step
  std::vector<Grid> grids_;     // by TensorIndex
  std::vector<bool> fixed_;     // by StorageIndex: holds other pitches than its spanning tensor's
  StorageMap map_;
};

}  // namespace

StorageMap ShareStorages(const Graph& graph, const std::vector<LiveRange>& ranges, Sharing sharing,
                         const std::vector<uint64_t>& least_scratch_bytes,
                         const std::vector<bool>& outside) {
  return Sharer(graph, ranges, sharing, least_scratch_bytes, outside).Run();
}

}  // namespace coracle::plan
