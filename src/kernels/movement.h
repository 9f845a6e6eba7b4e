// The operators that only move elements, by contiguous runs wherever there are any.
#pragma once

#include "kernels/kernel.h"

namespace coracle::kernels {

void MoveConcat(const RowArgs& args, RowRange rows);
void MoveSlice(const RowArgs& args, RowRange rows);
void MoveTranspose(const RowArgs& args, RowRange rows);
void MoveReshape(const RowArgs& args, RowRange rows);
void MovePad(const RowArgs& args, RowRange rows);
void MoveReorg(const RowArgs& args, RowRange rows);

}  // namespace coracle::kernels
