// Activation: the scalar function that a node applies to each result before storing it.
#pragma once

#include <cstdint>
#include <string_view>

namespace coracle::graph {

/// y = f(x). `a` and `b` are the parameters of Activation.
enum class ActivationKind : uint8_t {
  kNone = 0,         ///< x
  kRelu = 1,         ///< max(x, 0)
  kLeakyRelu = 2,    ///< x > 0 ? x : a x
  kClip = 3,         ///< min(max(x, a), b)
  kSigmoid = 4,      ///< 1 / (1 + exp(-x))
  kHardSigmoid = 5,  ///< min(max(a x + b, 0), 1)
  kHardSwish = 6,    ///< x min(max(a x + b, 0), 1); a = 1/6, b = 1/2 for the usual one
  kSwish = 7,        ///< x / (1 + exp(-a x)); a = 1: SiLU
  kTanh = 8,
  kExp = 9,
  kSqrt = 10,
  kErf = 11,
  kGelu = 12,  ///< x/2 (1 + erf(x / sqrt 2))
  kAbs = 13,
  kNeg = 14,
  kReciprocal = 15,
  kLog = 16,
  kElu = 17,       ///< x > 0 ? x : a (exp(x) - 1)
  kSoftplus = 18,  ///< log(1 + exp(x))
  kMish = 19,      ///< x tanh(softplus(x))
  kFloor = 20,
  kCeil = 21,
};
inline constexpr uint8_t kActivationKindCount = 22;

/// "relu", "hard_swish", ...
std::string_view ActivationName(ActivationKind kind);

struct Activation {
  ActivationKind kind = ActivationKind::kNone;
  float a = 0;
  float b = 0;

  bool operator==(const Activation&) const = default;
};

}  // namespace coracle::graph
