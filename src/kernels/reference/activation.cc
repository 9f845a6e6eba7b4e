#include "kernels/reference/activation.h"

#include <algorithm>
#include <cmath>

namespace coracle::kernels::reference {
namespace {

double Softplus(double x) { return std::max(x, 0.0) + std::log1p(std::exp(-std::abs(x))); }

double Transcendental(const graph::Activation& activation, double x) {
  using graph::ActivationKind;
  const double a = activation.a;
  switch (activation.kind) {
    case ActivationKind::kSigmoid:
      return 1 / (1 + std::exp(-x));
    case ActivationKind::kSwish:
      return x / (1 + std::exp(-a * x));
    case ActivationKind::kTanh:
      return std::tanh(x);
    case ActivationKind::kExp:
      return std::exp(x);
    case ActivationKind::kSqrt:
      return std::sqrt(x);
    case ActivationKind::kErf:
      return std::erf(x);
    case ActivationKind::kGelu:
      return x / 2 * std::erfc(-x / std::sqrt(2.0));
    case ActivationKind::kReciprocal:
      return 1 / x;
    case ActivationKind::kLog:
      return std::log(x);
    case ActivationKind::kElu:
      return x > 0 ? x : a * std::expm1(x);
    case ActivationKind::kSoftplus:
      return Softplus(x);
    case ActivationKind::kMish:
      return x * std::tanh(Softplus(x));
    default:
      return x;
  }
}

}  // namespace

float Activate(const graph::Activation& activation, float x) {
  using graph::ActivationKind;
  const float a = activation.a;
  const float b = activation.b;
  switch (activation.kind) {
    case ActivationKind::kNone:
      return x;
    case ActivationKind::kRelu:
      return std::max(x, 0.0F);
    case ActivationKind::kLeakyRelu:
      return x > 0 ? x : a * x;
    case ActivationKind::kClip:
      return std::min(std::max(x, a), b);
    case ActivationKind::kHardSigmoid:
      return std::min(std::max(std::fma(a, x, b), 0.0F), 1.0F);
    case ActivationKind::kHardSwish:
      return x * std::min(std::max(std::fma(a, x, b), 0.0F), 1.0F);
    case ActivationKind::kAbs:
      return std::abs(x);
    case ActivationKind::kNeg:
      return -x;
    case ActivationKind::kFloor:
      return std::floor(x);
    case ActivationKind::kCeil:
      return std::ceil(x);
    default:
      return static_cast<float>(Transcendental(activation, double{x}));
  }
}

}  // namespace coracle::kernels::reference
