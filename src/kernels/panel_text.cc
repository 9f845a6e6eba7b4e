#include "kernels/panel_text.h"

#include "base/check.h"
#include "base/checked.h"

namespace coracle::kernels {
namespace {

using graph::WeightType;

constexpr uint64_t kQuantizedAlignment = 64;

template <typename T>
T Load(const std::byte* from) {
  T value;
  std::memcpy(&value, from, sizeof(value));
  return value;
}

}  // namespace

PanelText::PanelText(WeightType type, uint32_t width, uint32_t rows, bool begins_panel)
    : type_(type),
      width_(width),
      rows_(rows),
      bias_bytes_(begins_panel ? width * static_cast<uint32_t>(sizeof(float)) : 0) {
  CORACLE_CHECK(type != WeightType::kDot8);
}

uint64_t PanelText::Bytes() const {
  switch (type_) {
    case WeightType::kInt8:
      return RoundUp(bias_bytes_ + uint64_t{width_} * (2 + uint64_t{rows_}), kQuantizedAlignment);
    case WeightType::kInt4:
      return RoundUp(bias_bytes_ + CeilDiv(rows_, kInt4GroupRows) * GroupBytes(),
                     kQuantizedAlignment);
    default:
      return bias_bytes_ + uint64_t{rows_} * width_ * sizeof(float);
  }
}

uint64_t PanelText::ScalesAt(uint32_t row) const {
  if (type_ == WeightType::kInt8) return bias_bytes_;
  return bias_bytes_ + row / kInt4GroupRows * GroupBytes();
}

uint64_t PanelText::RowAt(uint32_t row) const {
  switch (type_) {
    case WeightType::kInt8:
      return bias_bytes_ + uint64_t{width_} * (2 + uint64_t{row});
    case WeightType::kInt4:
      return ScalesAt(row) + uint64_t{width_} * (2 + row % (kInt4GroupRows / 2));
    default:
      return bias_bytes_ + uint64_t{row} * width_ * sizeof(float);
  }
}

float PanelText::Weight(const std::byte* text, uint32_t row, uint32_t column) const {
  const std::byte* const bytes = text + RowAt(row);
  if (type_ == WeightType::kFloat32) return Load<float>(bytes + column * sizeof(float));
  const float scale = FromBFloat16(Load<uint16_t>(text + ScalesAt(row) + column * 2));
  if (type_ == WeightType::kInt8) return scale * Load<int8_t>(bytes + column);
  const auto both = Load<uint8_t>(bytes + column);
  const bool upper = row % kInt4GroupRows >= kInt4GroupRows / 2;
  return scale * static_cast<float>((upper ? both >> 4 : both & 15) - 8);
}

}  // namespace coracle::kernels
