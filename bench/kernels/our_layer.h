// A layer computed by our kernels, on one thread or two.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "crew.h"
#include "crypto/aead.h"
#include "kernels/kernel.h"
#include "kernels/simd/panels_case.h"

namespace coracle::bench {

/// Where weights come from.
enum class Weights {
  kOpened,  ///< every chunk is already in a slot that stays in cache: the kernel's time alone
  kSealed,  ///< each chunk is opened into the slot, the next one's ciphertext asked for ahead
};

class OurLayer {
 public:
  /// `crew` outlives the layer. The best kernel set that Highway's enabled targets leave.
  OurLayer(const kernels::LayerShape& shape, Weights weights, Crew& crew);

  /// One pass over all chunks and rows. Two threads share chunk groups or rows as the planner's
  /// steps do.
  void Run();
  /// Largest difference of some hundred outputs from float64 sums, as a share of the largest
  /// magnitude among them. Requires: an activation that ExactActivation() knows, no residual.
  double ErrorAgainstFloat64();
  size_t output_elements() const { return layer_.OutputElements(); }

 private:
  static constexpr size_t kAlignment = 64;

  template <class T>
  struct Aligned {
    std::vector<T> elements;
    std::span<T> span;
    void Resize(size_t count);
  };
  /// What one thread has for itself.
  struct Worker {
    Aligned<float> slot;
    Aligned<std::byte> workspace, key_memory;
    std::unique_ptr<crypto::Aead> aead;
  };
  struct SealedChunk {
    size_t offset = 0;
    crypto::Nonce nonce{};
    crypto::Tag tag{};
  };

  void FindGroups();
  void Seal();
  void MakeWorker(Worker& worker);
  void RunGroup(Worker& worker, uint32_t group, uint32_t following, kernels::RowRange rows);
  void RunChunk(Worker& worker, uint32_t chunk, uint32_t next, kernels::RowRange rows);

  kernels::LayerCase layer_;
  const Weights weights_;
  Crew& crew_;
  kernels::PanelKernel kernel_ = nullptr;
  Aligned<float> input_, output_;
  kernels::Rows input_rows_, output_rows_;
  std::vector<uint32_t> group_begins_;  // chunks that complete a sum, and the end
  bool by_panels_ = false;
  std::atomic<uint32_t> next_group_{0};
  std::vector<std::byte> ciphertext_;
  std::vector<SealedChunk> chunks_;
  std::vector<Worker> workers_;
};

}  // namespace coracle::bench
