// The activation functions in float64, rounded once.
#pragma once

#include "graph/activation.h"

namespace coracle::kernels::reference {

float Activate(const graph::Activation& activation, float x);

}  // namespace coracle::kernels::reference
