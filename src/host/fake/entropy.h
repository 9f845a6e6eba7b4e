// "Random" bytes that are the same in every run: for tests that must be repeatable, nothing else.
#pragma once

#include "host/fake/random.h"
#include "host/outside.h"

namespace coracle::host {

/// Threads: one at a time.
class InsecureDeterministicEntropy final : public Entropy {
 public:
  explicit InsecureDeterministicEntropy(uint64_t seed) : random_(seed) {}
  Status Fill(std::span<std::byte> out) override;

 private:
  SplitMix64 random_;
};

/// Entropy that fails at call `call` (from 0) and is deterministic otherwise.
class FailingEntropy final : public Entropy {
 public:
  FailingEntropy(uint64_t seed, uint64_t call) : entropy_(seed), calls_left_(call) {}
  Status Fill(std::span<std::byte> out) override;

 private:
  InsecureDeterministicEntropy entropy_;
  uint64_t calls_left_;
};

}  // namespace coracle::host
