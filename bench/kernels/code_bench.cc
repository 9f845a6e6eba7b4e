// code_bench: how fast a core multiplies weights that are stored in fewer bits, by the way in which
// they are restored. One input pixel, panels of 64 columns, texts in the second-level cache: the
// case in which restoring weighs most. Items are weights; bytes are those that would be opened.
//
//   code_bench [--benchmark_...]
//
// AVX-512 alone, written out: an experiment behind docs/adr/0011, not a kernel.
#include <benchmark/benchmark.h>
#include <immintrin.h>

#include <cstdint>
#include <random>
#include <vector>

namespace {

constexpr int kColumns = 64;
constexpr int kRows = 4096;
constexpr int kVectors = kColumns / 16;
#define CORACLE_AVX512 __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,fma")))

/// What a panel needs beside its codes.
struct Tables {
  alignas(64) float scales[kColumns];
  alignas(64) float shared[64];                // one table for all columns
  alignas(64) float by_column[16 * kColumns];  // [level][column]
};

struct Panel {
  std::vector<uint8_t> codes;
  std::vector<float> inputs = std::vector<float>(kRows, 0.5F);
  Tables tables;

  explicit Panel(size_t bytes) : codes(bytes) {
    std::mt19937 random(1);
    for (uint8_t& code : codes) code = static_cast<uint8_t>(random());
    for (float& value : tables.scales) value = 0.01F;
    for (float& value : tables.shared) value = 0.01F;
    for (float& value : tables.by_column) value = 0.01F;
  }
};

CORACLE_AVX512 inline __m512i LoadBytes(const uint8_t* from) {
  return _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
}

/// Each type restores 16 weights of row `k`, columns [16 v, 16 v + 16).
struct Float32 {
  static constexpr double kBits = 32;
  CORACLE_AVX512 static __m512 Weights(const Panel& p, int k, int v) {
    return _mm512_loadu_ps(p.codes.data() + (size_t{4} * kColumns * k + 64 * v));
  }
};
struct Int8Scale {
  static constexpr double kBits = 8;
  CORACLE_AVX512 static __m512 Weights(const Panel& p, int k, int v) {
    const auto* at = reinterpret_cast<const __m128i*>(p.codes.data() + kColumns * k + 16 * v);
    const __m512 q = _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(at)));
    return _mm512_mul_ps(q, _mm512_load_ps(p.tables.scales + 16 * v));
  }
};
/// Bytes that hold row k and, in the upper half, row k + 16.
CORACLE_AVX512 inline __m512i Nibbles(const Panel& p, int k, int v) {
  const __m512i both = LoadBytes(p.codes.data() + kColumns * (k / 32 * 16 + k % 16) + 16 * v);
  return k % 32 < 16 ? _mm512_and_si512(both, _mm512_set1_epi32(15)) : _mm512_srli_epi32(both, 4);
}
struct Int4Scale {
  static constexpr double kBits = 4.5;
  CORACLE_AVX512 static __m512 Weights(const Panel& p, int k, int v) {
    const __m512i q = _mm512_sub_epi32(Nibbles(p, k, v), _mm512_set1_epi32(8));
    return _mm512_mul_ps(_mm512_cvtepi32_ps(q), _mm512_load_ps(p.tables.scales + 16 * v));
  }
};
/// One table of 16 levels for the panel, and a scale a column.
struct Table4Shared {
  static constexpr double kBits = 4;
  CORACLE_AVX512 static __m512 Weights(const Panel& p, int k, int v) {
    const __m512 level = _mm512_permutexvar_ps(Nibbles(p, k, v), _mm512_load_ps(p.tables.shared));
    return _mm512_mul_ps(level, _mm512_load_ps(p.tables.scales + 16 * v));
  }
};
/// A table of 16 levels a column: each lane looks up in a table of its own.
struct Table4Column {
  static constexpr double kBits = 4;
  CORACLE_AVX512 static __m512 Weights(const Panel& p, int k, int v) {
    const __m512i lane = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    const __m512i index = _mm512_add_epi32(_mm512_slli_epi32(Nibbles(p, k, v), 6), lane);
    return _mm512_i32gather_ps(index, p.tables.by_column + 16 * v, 4);
  }
};
/// Four bits as above and a plane of two more, of four rows in a byte.
CORACLE_AVX512 inline __m512i SixBits(const Panel& p, int k, int v) {
  const uint8_t* const plane = p.codes.data() + size_t{kRows} * kColumns / 2;
  const __m512i four = LoadBytes(plane + kColumns * (k / 4) + 16 * v);
  const __m512i two = _mm512_and_si512(_mm512_srlv_epi32(four, _mm512_set1_epi32(2 * (k % 4))),
                                       _mm512_set1_epi32(3));
  return _mm512_or_si512(Nibbles(p, k, v), _mm512_slli_epi32(two, 4));
}
struct Int6Scale {
  static constexpr double kBits = 6;
  CORACLE_AVX512 static __m512 Weights(const Panel& p, int k, int v) {
    const __m512i q = _mm512_sub_epi32(SixBits(p, k, v), _mm512_set1_epi32(32));
    return _mm512_mul_ps(_mm512_cvtepi32_ps(q), _mm512_load_ps(p.tables.scales + 16 * v));
  }
};
struct Table6Shared {
  static constexpr double kBits = 6;
  CORACLE_AVX512 static __m512 Weights(const Panel& p, int k, int v) {
    const __m512i code = SixBits(p, k, v);
    const float* t = p.tables.shared;
    const __m512 low = _mm512_permutex2var_ps(_mm512_load_ps(t), code, _mm512_load_ps(t + 16));
    const __m512 high =
        _mm512_permutex2var_ps(_mm512_load_ps(t + 32), code, _mm512_load_ps(t + 48));
    const __mmask16 upper = _mm512_test_epi32_mask(code, _mm512_set1_epi32(32));
    return _mm512_mul_ps(_mm512_mask_mov_ps(low, upper, high),
                         _mm512_load_ps(p.tables.scales + 16 * v));
  }
};

template <typename Code>
CORACLE_AVX512 float Multiply(const Panel& panel) {
  __m512 sums[kVectors] = {};
  for (int block = 0; block < kRows; block += 32) {
#pragma GCC unroll 32
    for (int k = 0; k < 32; ++k) {
      const __m512 x = _mm512_set1_ps(panel.inputs[static_cast<size_t>(block + k)]);
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) {
        sums[v] = _mm512_fmadd_ps(x, Code::Weights(panel, block + k, v), sums[v]);
      }
    }
  }
  return _mm512_reduce_add_ps(sums[0]) + _mm512_reduce_add_ps(sums[1]) +
         _mm512_reduce_add_ps(sums[2]) + _mm512_reduce_add_ps(sums[3]);
}

template <typename Code>
void Restore(benchmark::State& state) {
  if (!__builtin_cpu_supports("avx512bw")) {
    state.SkipWithError("needs AVX-512");
    return;
  }
  const auto bytes = static_cast<size_t>(Code::kBits / 8 * kRows * kColumns);
  const Panel panel(bytes + 64);
  for (auto _ : state) benchmark::DoNotOptimize(Multiply<Code>(panel));
  state.SetItemsProcessed(state.iterations() * kRows * kColumns);
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(bytes));
}

BENCHMARK(Restore<Float32>);
BENCHMARK(Restore<Int8Scale>);
BENCHMARK(Restore<Int6Scale>);
BENCHMARK(Restore<Table6Shared>);
BENCHMARK(Restore<Int4Scale>);
BENCHMARK(Restore<Table4Shared>);
BENCHMARK(Restore<Table4Column>);

}  // namespace

BENCHMARK_MAIN();
