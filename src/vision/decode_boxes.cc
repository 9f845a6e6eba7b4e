// Detections: darknet's get_yolo_detections, get_region_detections and do_nms_sort, in its order of
// arithmetic (src/yolo_layer.c, src/region_layer.c, src/box.c).
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "vision/decode_kinds.h"

namespace coracle::vision {
namespace {

/// The best are kept where a head gives more: NMS takes time quadratic in them.
constexpr size_t kCandidatesMax = 8192;
constexpr uint32_t kCoordinates = 4;

/// Reads single entries of a head's planes.
class HeadReader {
 public:
  explicit HeadReader(const HeadView& view)
      : output_(*view.output),
        entries_(kCoordinates + 1 + view.head->classes),
        plane_(uint64_t{output_.shape().Back(0)} * output_.shape().Back(1)) {}

  uint64_t plane() const { return plane_; }
  uint64_t PlaneStart(size_t anchor, uint32_t entry) const {
    return (anchor * entries_ + entry) * plane_;
  }
  double Entry(size_t anchor, uint32_t entry, uint64_t cell) const {
    float value = 0;
    output_.Read(PlaneStart(anchor, entry) + cell, std::span(&value, 1));
    return value;
  }

 private:
  const OutputView& output_;
  uint64_t entries_;
  uint64_t plane_;
};

Candidate BoxAt(const HeadView& view, const HeadReader& reader, size_t anchor, uint64_t cell) {
  const uint32_t columns = view.output->shape().Back(0);
  const uint32_t rows = view.output->shape().Back(1);
  const auto [width, height] = view.head->anchors[anchor];
  const uint64_t row = cell / columns;
  Candidate box;
  box.x = (static_cast<double>(cell % columns) + reader.Entry(anchor, 0, cell)) / columns;
  box.y = (static_cast<double>(row) + reader.Entry(anchor, 1, cell)) / rows;
  box.width = std::exp(reader.Entry(anchor, 2, cell)) * width / view.anchor_width;
  box.height = std::exp(reader.Entry(anchor, 3, cell)) * height / view.anchor_height;
  return box;
}

bool IsFinite(const Candidate& box) {
  return std::isfinite(box.x) && std::isfinite(box.y) && std::isfinite(box.width) &&
         std::isfinite(box.height);
}

void KeepBest(size_t count, std::vector<Candidate>& candidates) {
  if (candidates.size() <= count) return;
  std::ranges::nth_element(candidates, candidates.begin() + static_cast<ptrdiff_t>(count),
                           std::greater<>(), &Candidate::score);
  candidates.resize(count);
}

/// Length of the overlap of two centred intervals; negative: apart.
double OverlapLength(double a, double a_length, double b, double b_length) {
  const double begin = std::max(a - a_length / 2, b - b_length / 2);
  const double end = std::min(a + a_length / 2, b + b_length / 2);
  return end - begin;
}

}  // namespace

Status CollectCandidates(const HeadView& view, double threshold, std::vector<Candidate>& out) {
  const Shape& shape = view.output->shape();
  const uint64_t channels = uint64_t{view.head->anchors.size()} * (5 + view.head->classes);
  if (shape.rank() != 4 || shape[0] != 1 || shape[1] != channels || shape.Elements() == 0) {
    return Error{Code::kInvalidArgument,
                 fmt::format("decode: head {} is {}; {} anchors of {} classes need 1x{}xHxW",
                             view.output->name(), shape.ToString(), view.head->anchors.size(),
                             view.head->classes, channels)};
  }
  const HeadReader reader(view);
  const auto add = [&](size_t anchor, uint64_t cell, double objectness) {
    Candidate candidate = BoxAt(view, reader, anchor, cell);
    if (!IsFinite(candidate)) return;
    for (uint32_t index = 0; index < view.head->classes; ++index) {
      candidate.index = index;
      candidate.score = objectness * reader.Entry(anchor, kCoordinates + 1 + index, cell);
      if (candidate.score > threshold) out.push_back(candidate);
    }
    if (out.size() >= 2 * kCandidatesMax) KeepBest(kCandidatesMax, out);
  };
  for (size_t anchor = 0; anchor < view.head->anchors.size(); ++anchor) {
    const uint64_t start = reader.PlaneStart(anchor, kCoordinates);
    ForEachPiece(*view.output, start, reader.plane(),
                 [&](uint64_t first, std::span<const float> values) {
                   for (size_t i = 0; i < values.size(); ++i) {
                     if (values[i] > threshold) add(anchor, first - start + i, values[i]);
                   }
                 });
  }
  KeepBest(kCandidatesMax, out);
  return {};
}

double OverlapRatio(const Candidate& a, const Candidate& b) {
  const double width = OverlapLength(a.x, a.width, b.x, b.width);
  const double height = OverlapLength(a.y, a.height, b.y, b.height);
  if (width < 0 || height < 0) return 0;
  const double both = width * height;
  const double either = a.width * a.height + b.width * b.height - both;
  return either > 0 ? both / either : 0;
}

void SuppressOverlaps(double overlap, std::vector<Candidate>& candidates) {
  std::ranges::stable_sort(candidates, std::greater<>(), &Candidate::score);
  std::vector<Candidate> kept;
  for (const Candidate& candidate : candidates) {
    const bool hidden = std::ranges::any_of(kept, [&](const Candidate& better) {
      return better.index == candidate.index && OverlapRatio(better, candidate) > overlap;
    });
    if (!hidden) kept.push_back(candidate);
  }
  candidates = std::move(kept);
}

}  // namespace coracle::vision
