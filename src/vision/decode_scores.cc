// topk, ctc and heatmap.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "vision/decode_kinds.h"

namespace coracle::vision {
namespace {

constexpr size_t kPieceElements = 1024;
constexpr uint32_t kTopMax = 1000;
constexpr uint64_t kTextStepsMax = 1 << 16;
constexpr size_t kTextBytesMax = 1 << 20;

Error WrongShape(const OutputView& output, std::string_view wants) {
  return Error{Code::kInvalidArgument,
               fmt::format("decode: output {} is {}; this decoder takes {}", output.name(),
                           output.shape().ToString(), wants)};
}

struct BestClass {
  uint32_t index = 0;
  float value = 0;
  ScoreScale scale;
};

/// The greatest of elements [first, first + count); the first of equals.
BestClass FindBest(const OutputView& output, uint64_t first, uint64_t count) {
  BestClass best;
  bool any = false;
  ForEachPiece(output, first, count, [&](uint64_t at, std::span<const float> values) {
    best.scale.Add(values);
    for (size_t i = 0; i < values.size(); ++i) {
      if (std::isnan(values[i]) || (any && values[i] <= best.value)) continue;
      any = true;
      best.value = values[i];
      best.index = static_cast<uint32_t>(at - first + i);
    }
  });
  return best;
}

struct TimeSteps {
  uint64_t steps = 0;
  uint32_t classes = 0;
};

/// T,C after dropping the axes of length 1 before C.
std::optional<TimeSteps> StepsOf(const Shape& shape) {
  if (shape.rank() < 2) return std::nullopt;
  uint64_t steps = 1;
  uint32_t long_axes = 0;
  for (uint32_t axis = 0; axis + 1 < shape.rank(); ++axis) {
    steps *= shape[axis];
    long_axes += shape[axis] > 1 ? 1 : 0;
    if (steps > kTextStepsMax) return std::nullopt;
  }
  if (long_axes > 1) return std::nullopt;
  return TimeSteps{steps, shape.Back(0)};
}

}  // namespace

void ForEachPiece(const OutputView& output, uint64_t first, uint64_t count,
                  const std::function<void(uint64_t, std::span<const float>)>& body) {
  std::array<float, kPieceElements> piece;
  while (count > 0) {
    const auto values = std::span(piece).first(std::min<uint64_t>(count, piece.size()));
    output.Read(first, values);
    body(first, values);
    first += values.size();
    count -= values.size();
  }
}

void ScoreScale::Add(std::span<const float> values) {
  for (const float value : values) {
    if (std::isnan(value)) continue;
    if (value > greatest_) {
      exponentials_ *= std::exp(greatest_ - value);
      greatest_ = value;
    }
    exponentials_ += std::exp(value - greatest_);
    least_ = std::min<double>(least_, value);
    sum_ += value;
  }
}

bool ScoreScale::SumsToOne() const { return least_ >= 0 && std::abs(sum_ - 1) <= 0.01; }

double ScoreScale::Probability(float value, bool softmax) const {
  return softmax ? std::exp(value - greatest_) / exponentials_ : value;
}

std::string LabelOf(std::span<const std::string> labels, uint32_t classes, uint32_t index) {
  const bool shifted = labels.size() == size_t{classes} + 1 && labels.front() == "background";
  const size_t at = size_t{index} + (shifted ? 1 : 0);
  return at < labels.size() ? labels[at] : fmt::format("{}", index);
}

Result<TopAnswer> DecodeTop(const OutputView& output, std::span<const std::string> labels,
                            std::optional<bool> softmax, uint32_t count) {
  const uint64_t elements = output.shape().Elements();
  const bool batched = output.shape().rank() > 1 && output.shape()[0] > 1;
  if (elements == 0 || elements > (uint64_t{1} << 31) || batched) {
    return WrongShape(output, "one score a class of one input");
  }
  const auto classes = static_cast<uint32_t>(elements);
  const size_t keep = std::min({count, kTopMax, classes});
  struct Entry {
    float value;
    uint32_t index;
  };
  std::vector<Entry> best;
  ScoreScale scale;
  ForEachPiece(output, 0, elements, [&](uint64_t first, std::span<const float> values) {
    scale.Add(values);
    for (size_t i = 0; i < values.size(); ++i) {
      const float value = values[i];
      if (std::isnan(value) || (best.size() == keep && (keep == 0 || value <= best.back().value))) {
        continue;
      }
      if (best.size() == keep) best.pop_back();
      const auto place = std::ranges::upper_bound(best, value, std::greater<>(), &Entry::value);
      best.insert(place, {value, static_cast<uint32_t>(first + i)});
    }
  });
  const bool apply = softmax.value_or(!scale.SumsToOne());
  TopAnswer answer;
  for (const Entry& entry : best) {
    answer.top.push_back({LabelOf(labels, classes, entry.index), entry.index,
                          scale.Probability(entry.value, apply)});
  }
  return answer;
}

Result<TextAnswer> DecodeCtc(const OutputView& output, std::span<const std::string> labels,
                             std::optional<bool> softmax, uint32_t blank) {
  const auto shape = StepsOf(output.shape());
  if (!shape || shape->classes == 0) return WrongShape(output, "1,T,C (time steps, classes)");
  if (blank >= shape->classes || labels.size() + 1 != shape->classes) {
    return Error{
        Code::kInvalidArgument,
        fmt::format("decode: output {} has {} classes, so the ctc keys must be {} besides "
                    "the blank (class {}); there are {}",
                    output.name(), shape->classes, shape->classes - 1, blank, labels.size())};
  }
  TextAnswer answer;
  uint32_t previous = blank;
  uint32_t characters = 0;
  double sum = 0;
  for (uint64_t step = 0; step < shape->steps; ++step) {
    const BestClass best = FindBest(output, step * shape->classes, shape->classes);
    const bool repeated = best.index == previous;
    previous = best.index;
    if (best.index == blank || repeated) continue;
    const auto& key = labels[best.index < blank ? best.index : best.index - 1];
    if (answer.text.size() + key.size() > kTextBytesMax) {
      return Error{Code::kInvalidArgument, "decode: the text is longer than 1 MiB"};
    }
    answer.text += key;
    sum += best.scale.Probability(best.value, softmax.value_or(!best.scale.SumsToOne()));
    ++characters;
  }
  answer.score = characters > 0 ? sum / characters : 0;
  return answer;
}

Result<HeatmapAnswer> DecodeHeatmap(const OutputView& output) {
  const Shape& shape = output.shape();
  const uint64_t elements = shape.Elements();
  if (shape.rank() < 2 || elements == 0 || uint64_t{shape.Back(0)} * shape.Back(1) != elements ||
      elements > kImagePixelsMax) {
    return WrongShape(output, "one map: 1,1,H,W or H,W");
  }
  HeatmapAnswer answer{shape.Back(0), shape.Back(1), 0, 0};
  bool any = false;
  ForEachPiece(output, 0, elements, [&](uint64_t, std::span<const float> values) {
    for (const float value : values) {
      if (!std::isfinite(value)) continue;
      answer.least = any ? std::min(answer.least, value) : value;
      answer.greatest = any ? std::max(answer.greatest, value) : value;
      any = true;
    }
  });
  return answer;
}

}  // namespace coracle::vision
