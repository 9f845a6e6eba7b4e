// The SIMD row kernels, by group of operators; each file is compiled once per Highway target.
#pragma once

#include <cstdint>

#include "hwy/detect_targets.h"
#include "kernels/kernel.h"

namespace coracle::kernels {

/// Each puts its kernels for one Highway target (HWY_AVX3, ...) into `set`; for a target that has
/// none, the portable ones.
void AddElementwiseKernels(int64_t hwy_target, KernelSet& set);  ///< Affine, Unary, Binary
void AddNormKernels(int64_t hwy_target, KernelSet& set);  ///< LayerNorm, Softmax, DetectionHead
void AddPoolKernels(int64_t hwy_target, KernelSet& set);  ///< Pool, Reduce
void AddMatMulKernel(int64_t hwy_target, KernelSet& set);
void AddResizeKernel(int64_t hwy_target, KernelSet& set);
void AddRecurrenceKernel(int64_t hwy_target, KernelSet& set);
void AddAttentionKernel(int64_t hwy_target, KernelSet& set);
/// Quantize, Dequantize, QuantizationRange, QuantizedAdd, RowExtremes
void AddQuantizeKernels(int64_t hwy_target, KernelSet& set);

/// Rows of K that the MatMul kernel packs at a time, and the columns beside each other.
inline constexpr uint32_t kMatMulDepthMax = 256;
inline constexpr uint32_t kMatMulColumnsMax = 64;

}  // namespace coracle::kernels

/// Calls NAME(...) as compiled for `hwy_target`. Used behind HWY_ONCE.
#if HWY_TARGETS & HWY_AVX3
#define CORACLE_CASE_AVX3(name, ...) \
  case HWY_AVX3:                     \
    return N_AVX3::name(__VA_ARGS__);
#else
#define CORACLE_CASE_AVX3(name, ...)
#endif
#if HWY_TARGETS & HWY_AVX2
#define CORACLE_CASE_AVX2(name, ...) \
  case HWY_AVX2:                     \
    return N_AVX2::name(__VA_ARGS__);
#else
#define CORACLE_CASE_AVX2(name, ...)
#endif
#define CORACLE_CALL_FOR_TARGET(hwy_target, name, ...) \
  switch (hwy_target) {                                \
    CORACLE_CASE_AVX3(name, __VA_ARGS__)               \
    CORACLE_CASE_AVX2(name, __VA_ARGS__)               \
    default:                                           \
      return HWY_STATIC_DISPATCH(name)(__VA_ARGS__);   \
  }
