// The process key and a real fork: the child has no copy of the key anywhere in its memory, opens
// nothing and seals nothing, while its parent goes on. And sealing and opening rows allocates
// nothing.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>

#include "crypto/test_bytes.h"
#include "crypto/test_malloc_count.h"
#include "host/fake/entropy.h"
#include "host/posix/memory.h"
#include "host/posix/outside_memory.h"
#include "runtime/row_store.h"

namespace coracle::runtime {
namespace {

using crypto::Noise;
using crypto::Verdict;

constexpr uint64_t kSeed = 5;
constexpr std::byte kMask{0x5a};
constexpr StoreSlot kSlot{0};

/// The key that entropy of kSeed gives first, each byte masked: so that who looks for the key has
/// none itself.
std::array<std::byte, 32> MaskedKey() {
  std::array<std::byte, 32> key;
  CORACLE_CHECK(host::InsecureDeterministicEntropy(kSeed).Fill(key).ok());
  std::array<std::byte, 32> masked;
  for (size_t i = 0; i < key.size(); ++i) masked[i] = key[i] ^ kMask;
  crypto::WipeMemory(key);
  return masked;
}

/// How often the key stands in `memory`.
uint64_t CountIn(Bytes memory, const std::array<std::byte, 32>& masked) {
  uint64_t found = 0;
  for (size_t at = 0; at + masked.size() <= memory.size(); ++at) {
    size_t same = 0;
    while (same < masked.size() && memory[at + same] == (masked[same] ^ kMask)) ++same;
    found += same == masked.size();
  }
  return found;
}

/// How often the key stands in this process's writable memory, read through /proc, which answers
/// where a load would fault.
uint64_t CountKeyInProcess() {
  const auto masked = MaskedKey();
  const int memory = ::open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
  std::FILE* const maps = std::fopen("/proc/self/maps", "re");
  CORACLE_CHECK(memory >= 0 && maps != nullptr);
  std::vector<std::byte> window(1 << 16);
  uint64_t found = 0;
  char line[512];
  while (std::fgets(line, sizeof(line), maps) != nullptr) {
    unsigned long begin = 0;
    unsigned long end = 0;
    char rights[5] = {};
    if (std::sscanf(line, "%lx-%lx %4s", &begin, &end, rights) != 3) continue;
    if (rights[0] != 'r' || rights[1] != 'w') continue;
    while (begin < end) {
      const size_t bytes = std::min<size_t>(window.size(), end - begin);
      const ssize_t got = ::pread(memory, window.data(), bytes, static_cast<off_t>(begin));
      if (got > 0) found += CountIn(std::span(window).first(static_cast<size_t>(got)), masked);
      begin += bytes < window.size() ? bytes : bytes - masked.size();
    }
  }
  crypto::WipeMemory(window);  // so that no later count finds what this one has seen
  std::fclose(maps);
  ::close(memory);
  return found;
}

/// A store with one sealed block.
struct Ready {
  host::InsecureDeterministicEntropy entropy{kSeed};
  host::PosixMemory memory;
  host::PosixOutsideMemory outside;
  std::unique_ptr<ProcessSeal> seal;
  std::unique_ptr<RowStore> store;
  std::vector<std::byte> content = Noise(64 * 1000, 4);
  std::vector<std::byte> rows = std::vector<std::byte>(content.size());
  SealCounter counter{};

  Status Prepare(crypto::AeadBackend backend) {
    TRY_ASSIGN(seal, ProcessSeal::Create(entropy, memory, backend));
    constexpr StoredTensor kTensors[] = {{graph::TensorIndex{1}, 128, 1000, 64}};
    TRY_ASSIGN(store, RowStore::Create(kTensors, 1, *seal, outside));
    CORACLE_CHECK(Seal() == SealOutcome::kSealed && Open() == Verdict::kAuthentic);
    return {};
  }
  SealOutcome Seal() { return store->SealBlock(0, kSlot, 0, content, counter); }
  Verdict Open() { return store->OpenBlock(0, kSlot, 0, rows, counter); }
};

class SealForkTest : public testing::TestWithParam<crypto::AeadBackend> {
 protected:
  void SetUp() override {
    if (!crypto::MallocIsCounted()) GTEST_SKIP() << "a sanitizer owns malloc and its memory";
    const Status prepared = ready_.Prepare(GetParam());
    if (!prepared.ok()) GTEST_SKIP() << prepared.error().message;
  }
  /// Runs `body` in a child; its answer is the child's exit code.
  template <typename Body>
  int InChild(Body body) {
    const pid_t child = ::fork();
    if (child == 0) ::_exit(body());
    int status = 0;
    if (child < 0 || ::waitpid(child, &status, 0) != child || !WIFEXITED(status)) return -1;
    return WEXITSTATUS(status);
  }

  Ready ready_;
};

TEST_P(SealForkTest, TheChildSealsAndOpensNothing) {
  const SealCounter before = ready_.counter;
  const int failed = InChild([this] {
    const bool opened = ready_.Open() == Verdict::kAuthentic;
    const bool zeroed =
        std::ranges::all_of(ready_.rows, [](std::byte byte) { return byte == std::byte{0}; });
    const bool sealed = ready_.Seal() == SealOutcome::kSealed || ready_.counter != kNeverSealed;
    const bool leased = ready_.seal->NewLease().ok() || ready_.seal->NewSealer().ok();
    ready_.store.reset();  // and lets go of it all without harm
    ready_.seal.reset();
    return (opened ? 1 : 0) + (zeroed ? 0 : 2) + (sealed ? 4 : 0) + (leased ? 8 : 0);
  });
  EXPECT_EQ(failed, 0);
  EXPECT_EQ(ready_.Open(), Verdict::kAuthentic) << "the parent goes on";
  EXPECT_EQ(ready_.Seal(), SealOutcome::kSealed);
  EXPECT_GT(ready_.counter, before);
}

TEST_P(SealForkTest, TheKeyStandsNowhereInTheChild) {
  EXPECT_GE(CountKeyInProcess(), 1U) << "the control: the parent has it";
  EXPECT_EQ(InChild([] { return static_cast<int>(CountKeyInProcess()); }), 0);
}

TEST_P(SealForkTest, SealingAndOpeningAllocateNothing) {
  uint64_t done = 0;
  const uint64_t before = crypto::MallocCount();
  for (int i = 0; i < 20; ++i) {
    done += ready_.Seal() == SealOutcome::kSealed;
    done += ready_.Open() == Verdict::kAuthentic;
  }
  EXPECT_EQ(crypto::MallocCount(), before);
  EXPECT_EQ(done, 40U);
}

INSTANTIATE_TEST_SUITE_P(Backends, SealForkTest,
                         testing::Values(crypto::AeadBackend::kIpsecMb,
                                         crypto::AeadBackend::kOpenSsl));

}  // namespace
}  // namespace coracle::runtime
