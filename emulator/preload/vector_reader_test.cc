#include "emulator/preload/vector_reader.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <climits>
#include <random>
#include <vector>

namespace coracle::epc {
namespace {

uintptr_t AddressOf(const std::vector<iovec>& vectors) {
  return reinterpret_cast<uintptr_t>(vectors.data());
}

/// Pieces of any size, done in part or whole, give all bytes once and in order.
TEST(VectorReader, PiecesAreTheWhole) {
  std::mt19937 random(1);
  char* const base = reinterpret_cast<char*>(uintptr_t{1} << 20);  // never looked at
  for (int round = 0; round < 500; ++round) {
    std::vector<iovec> vectors;
    std::vector<char*> expected;
    for (auto i = random() % 20; i > 0; --i) {
      char* const begin = base + random() % 10'000;
      const size_t bytes = random() % 4 == 0 ? 0 : random() % 50;
      vectors.push_back({begin, bytes});
      for (size_t k = 0; k < bytes; ++k) expected.push_back(begin + k);
    }
    VectorReader reader(AddressOf(vectors), vectors.size());
    EXPECT_EQ(reader.TotalBytes(), static_cast<long>(expected.size()));
    std::vector<char*> got;
    while (got.size() < expected.size()) {
      iovec piece[3];
      uint64_t bytes = 0;
      const long used = reader.Fill(piece, 1 + random() % 60, bytes);
      ASSERT_GT(used, 0);
      uint64_t left = random() % 2 == 0 ? bytes : random() % (bytes + 1);
      reader.Skip(left);
      for (const iovec& vector : std::span(piece, static_cast<size_t>(used))) {
        for (size_t k = 0; k < vector.iov_len && left > 0; ++k, --left) {
          got.push_back(static_cast<char*>(vector.iov_base) + k);
        }
      }
    }
    EXPECT_EQ(got, expected);
  }
}

TEST(VectorReader, RefusesWhatTheKernelRefuses) {
  std::vector<iovec> vectors(1025);
  EXPECT_EQ(VectorReader(AddressOf(vectors), 1025).TotalBytes(), -EINVAL);
  EXPECT_EQ(VectorReader(AddressOf(vectors), 1024).TotalBytes(), 0);
  vectors[0].iov_len = SSIZE_MAX;
  vectors[1].iov_len = 1;
  EXPECT_EQ(VectorReader(AddressOf(vectors), 2).TotalBytes(), -EINVAL);
  EXPECT_EQ(VectorReader(8, 1).TotalBytes(), -EFAULT);
}

}  // namespace
}  // namespace coracle::epc
