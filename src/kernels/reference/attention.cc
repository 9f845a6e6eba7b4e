#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/reference/reference.h"

namespace coracle::kernels::reference {
namespace {

/// The mask's row of one query and head; null: none.
const float* MaskOf(const RowArgs& args, const Image& image, uint32_t query, uint32_t head) {
  const auto& attention = std::get<graph::Attention>(args.node->attrs);
  if (attention.mask == graph::AttentionMask::kNone) return nullptr;
  if (attention.mask == graph::AttentionMask::kTensor) {
    const Rows& mask = image.inputs[3];
    return mask.Pixel(mask.rows == 1 ? 0 : query, mask.pixels == 1 ? 0 : head);
  }
  const Shape& shape = attention.mask_shape;
  const uint64_t row = shape[1] == 1 ? 0 : query;
  const uint64_t pixel = row * shape[2] + (shape[2] == 1 ? 0 : head);
  return args.constants + pixel * shape[3];
}

void AttendOne(const RowArgs& args, const Image& image, uint32_t query, uint32_t head) {
  const double scale = std::get<graph::Attention>(args.node->attrs).scale;
  const Rows& keys = image.inputs[1];
  const Rows& values = image.inputs[2];
  const float* q = image.inputs[0].Pixel(query, head);
  const float* mask = MaskOf(args, image, query, head);
  std::vector<double> scores(keys.rows);
  for (uint32_t t = 0; t < keys.rows; ++t) {
    float sum = 0;
    for (uint32_t d = 0; d < keys.channels; ++d) sum = std::fma(q[d], keys.Pixel(t, head)[d], sum);
    scores[t] = double{sum} * scale + (mask == nullptr ? 0.0 : double{mask[t]});
  }
  const double largest = *std::max_element(scores.begin(), scores.end());
  double total = 0;
  for (double& score : scores) total += score = std::exp(score - largest);
  float* out = image.output.Pixel(query, head);
  for (uint32_t e = 0; e < values.channels; ++e) {
    double sum = 0;
    for (uint32_t t = 0; t < keys.rows; ++t) sum += scores[t] * double{values.Pixel(t, head)[e]};
    out[e] = static_cast<float>(sum / total);
  }
}

}  // namespace

void Attention(const RowArgs& args, RowRange rows) {
  for (const Image& image : args.images) {
    for (uint32_t query = rows.begin; query < rows.end; ++query) {
      for (uint32_t head = 0; head < image.output.pixels; ++head) {
        AttendOne(args, image, query, head);
      }
    }
  }
}

}  // namespace coracle::kernels::reference
