// The reference kernels, one file per group of operators: plain loops, float64 inside of anything
// that is not an exact FMA chain. They are the truth that simd/ is compared with.
#pragma once

#include "kernels/kernel.h"

namespace coracle::kernels::reference {

void Panels(const PanelArgs& args, RowRange rows);
void Depthwise(const PanelArgs& args, RowRange rows);
void IntegerPanels(const PanelArgs& args, RowRange rows);
void IntegerDepthwise(const PanelArgs& args, RowRange rows);

void Affine(const RowArgs& args, RowRange rows);
void Unary(const RowArgs& args, RowRange rows);
void Binary(const RowArgs& args, RowRange rows);
void Pool(const RowArgs& args, RowRange rows);
void Reduce(const RowArgs& args, RowRange rows);
void LayerNorm(const RowArgs& args, RowRange rows);
void Softmax(const RowArgs& args, RowRange rows);
void MatMul(const RowArgs& args, RowRange rows);
void Resize(const RowArgs& args, RowRange rows);
/// Concat, Slice, Transpose, Reshape, Pad, Reorg: element by element.
void Move(const RowArgs& args, RowRange rows);
void DetectionHead(const RowArgs& args, RowRange rows);
void Recurrence(const RowArgs& args, RowRange rows);
void Attention(const RowArgs& args, RowRange rows);
void Quantize(const RowArgs& args, RowRange rows);
void Dequantize(const RowArgs& args, RowRange rows);
void QuantizationRange(const RowArgs& args, RowRange rows);
void QuantizedAdd(const RowArgs& args, RowRange rows);
void RowExtremes(const RowArgs& args, RowRange rows);

}  // namespace coracle::kernels::reference
