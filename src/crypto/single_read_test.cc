// Ciphertext lies where a hostile host can change it while we open it. Code that reads it twice
// (once to authenticate, once to decrypt) then accepts plaintext that was never sealed. Code that
// reads it back while it seals (to authenticate it) gives the host a tag for another text. Here a
// thread plays the host against each implementation. One second each; CORACLE_SLOW=1: one minute.

#include <gtest/gtest.h>
#include <openssl/evp.h>

#include <atomic>
#include <chrono>
#include <random>
#include <thread>

#include "base/test_environment.h"
#include "crypto/test_aeads.h"
#include "crypto/test_bytes.h"

namespace coracle::crypto {
namespace {

using std::chrono::steady_clock;

/// The host: keeps flipping a bit of the text and putting it back.
class HostileText {
 public:
  explicit HostileText(const std::vector<std::byte>& text)
      : bytes_(text.size()), memory_(std::make_unique<std::atomic<std::byte>[]>(text.size())) {
    for (size_t i = 0; i < bytes_; ++i) memory_[i].store(text[i]);
    host_ = std::thread([this] { Mutate(); });
  }
  ~HostileText() {
    stop_.store(true);
    host_.join();
  }
  std::span<std::byte> bytes() const {
    return {reinterpret_cast<std::byte*>(memory_.get()), bytes_};
  }

 private:
  void Mutate() {
    std::mt19937_64 random(7);
    while (!stop_.load(std::memory_order_relaxed)) {
      const uint64_t draw = random();
      std::atomic<std::byte>& target = memory_[draw % bytes_];
      const std::byte original = target.load(std::memory_order_relaxed);
      target.store(original ^ static_cast<std::byte>(1U << (draw >> 61)),
                   std::memory_order_relaxed);
      Spin((draw >> 40) & 255);
      target.store(original, std::memory_order_relaxed);
      Spin((draw >> 48) & 255);
    }
  }
  static void Spin(uint64_t turns) {
    for (; turns > 0; --turns) std::atomic_signal_fence(std::memory_order_seq_cst);
  }

  size_t bytes_;
  std::unique_ptr<std::atomic<std::byte>[]> memory_;
  std::atomic<bool> stop_{false};
  std::thread host_;
};

struct Score {
  uint64_t accepted = 0;
  uint64_t refused = 0;
  uint64_t wrong = 0;  ///< accepted, but not what was sealed
};

template <typename OpenText>
Score Race(const std::vector<std::byte>& plain, const std::vector<std::byte>& sealed,
           std::chrono::milliseconds duration, OpenText open) {
  const HostileText hostile(sealed);
  std::vector<std::byte> opened(plain.size());
  Score score;
  const auto end = steady_clock::now() + duration;
  while (steady_clock::now() < end) {
    for (int i = 0; i < 64; ++i) {
      if (open(hostile.bytes(), opened) != Verdict::kAuthentic) {
        ++score.refused;
      } else {
        ++score.accepted;
        if (opened != plain) ++score.wrong;
      }
    }
  }
  return score;
}

/// Whole rounds of the widest code, its tails, and a text that does not fit the first-level cache.
constexpr size_t kTextBytes[] = {4096, 4032, 720, 727, 65536};
const Nonce kNonce{};

TEST(SingleReadTest, AcceptedIsAlwaysWhatWasSealed) {
#if defined(CORACLE_TSAN)
  GTEST_SKIP() << "the race is deliberate";
#endif
  const auto duration =
      std::chrono::milliseconds(RunsSlowTests() ? 60'000 : 1'000) / std::size(kTextBytes);
  const Key256 key = KeyOf(Noise(32, 5));
  for (const AeadMaker& maker : AllAeads()) {
    const auto aead = maker.make(key);
    uint64_t accepted = 0;
    for (const size_t bytes : kTextBytes) {
      const auto plain = Noise(bytes, 6);
      std::vector<std::byte> sealed(plain.size());
      Tag tag{};
      aead->Seal(kNonce, {}, plain, sealed, tag);
      const Score score =
          Race(plain, sealed, duration, [&](Bytes text, std::span<std::byte> opened) {
            return aead->Open(kNonce, {}, text, tag, opened);
          });
      std::printf("%-12s %5zu bytes: accepted %9lu  refused %9lu  wrong %lu\n", maker.name.c_str(),
                  bytes, score.accepted, score.refused, score.wrong);
      EXPECT_EQ(score.wrong, 0U) << maker.name << " " << bytes;
      accepted += score.accepted;
    }
    EXPECT_GT(accepted, 0U) << maker.name;
  }
}

/// Seals the same text again and again into memory that the host changes: the tag must not.
template <typename SealText>
Score RaceSealing(const Tag& expected, size_t bytes, std::chrono::milliseconds duration,
                  SealText seal) {
  const HostileText hostile{std::vector<std::byte>(bytes)};
  Score score;
  const auto end = steady_clock::now() + duration;
  while (steady_clock::now() < end) {
    for (int i = 0; i < 64; ++i) {
      Tag tag{};
      seal(hostile.bytes(), tag);
      ++(tag == expected ? score.accepted : score.wrong);
    }
  }
  return score;
}

TEST(SingleReadTest, TheTagIsThatOfThePlaintext) {
#if defined(CORACLE_TSAN)
  GTEST_SKIP() << "the race is deliberate";
#endif
  const auto duration =
      std::chrono::milliseconds(RunsSlowTests() ? 60'000 : 1'000) / std::size(kTextBytes);
  const Key256 key = KeyOf(Noise(32, 5));
  for (const AeadMaker& maker : AllAeads()) {
    const auto aead = maker.make(key);
    for (const size_t bytes : kTextBytes) {
      const auto plain = Noise(bytes, 6);
      std::vector<std::byte> sealed(plain.size());
      Tag tag{};
      aead->Seal(kNonce, {}, plain, sealed, tag);
      const Score score = RaceSealing(
          tag, bytes, duration,
          [&](std::span<std::byte> out, Tag& made) { aead->Seal(kNonce, {}, plain, out, made); });
      std::printf("%-12s %5zu bytes: sealed %9lu  wrong %lu\n", maker.name.c_str(), bytes,
                  score.accepted, score.wrong);
      EXPECT_EQ(score.wrong, 0U) << maker.name << " " << bytes;
    }
  }
}

/// The controls: they show that these races do catch code that reads twice.
void SealReadingBack(const Key256& key, Bytes plain, std::span<std::byte> out, Tag& tag) {
  EVP_CIPHER_CTX* context = EVP_CIPHER_CTX_new();
  const auto raw = [](Bytes bytes) { return reinterpret_cast<const uint8_t*>(bytes.data()); };
  int written = 0;
  uint8_t nothing[1];
  const bool ok =
      EVP_EncryptInit_ex(context, EVP_aes_256_gcm(), nullptr, raw(key.bytes()), raw(kNonce)) == 1 &&
      EVP_EncryptUpdate(context, reinterpret_cast<uint8_t*>(out.data()), &written, raw(plain),
                        static_cast<int>(plain.size())) == 1 &&
      EVP_EncryptFinal_ex(context, nothing, &written) == 1 &&
      EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, kTagBytes, tag.data()) == 1;
  EVP_CIPHER_CTX_free(context);
  CORACLE_CHECK(ok);
}

TEST(SingleReadTest, TheRaceCatchesCodeThatReadsBack) {
  if (!RunsSlowTests()) GTEST_SKIP() << "set CORACLE_SLOW=1 to run the control";
  const Key256 key = KeyOf(Noise(32, 5));
  uint64_t wrong = 0;
  for (const size_t bytes : kTextBytes) {
    const auto plain = Noise(bytes, 6);
    std::vector<std::byte> sealed(plain.size());
    Tag tag{};
    SealReadingBack(key, plain, sealed, tag);
    const Score score = RaceSealing(
        tag, bytes, std::chrono::seconds(5),
        [&](std::span<std::byte> out, Tag& made) { SealReadingBack(key, plain, out, made); });
    std::printf("%-12s %5zu bytes: sealed %9lu  wrong %lu\n", "control", bytes, score.accepted,
                score.wrong);
    wrong += score.wrong;
  }
  EXPECT_GT(wrong, 0U);
}

Verdict OpenReadingTwice(const Key256& key, const Tag& tag, Bytes text,
                         std::span<std::byte> opened) {
  EVP_CIPHER_CTX* context = EVP_CIPHER_CTX_new();
  const auto raw = [](Bytes bytes) { return reinterpret_cast<const uint8_t*>(bytes.data()); };
  int written = 0;
  uint8_t nothing[1];
  Tag copy = tag;
  const bool ok =
      EVP_DecryptInit_ex(context, EVP_aes_256_gcm(), nullptr, raw(key.bytes()), raw(kNonce)) == 1 &&
      EVP_DecryptUpdate(context, reinterpret_cast<uint8_t*>(opened.data()), &written, raw(text),
                        static_cast<int>(text.size())) == 1 &&
      EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, kTagBytes, copy.data()) == 1 &&
      EVP_DecryptFinal_ex(context, nothing, &written) == 1;
  EVP_CIPHER_CTX_free(context);
  return ok ? Verdict::kAuthentic : Verdict::kTampered;
}

TEST(SingleReadTest, TheRaceCatchesCodeThatReadsTwice) {
  if (!RunsSlowTests()) GTEST_SKIP() << "set CORACLE_SLOW=1 to run the control";
  const Key256 key = KeyOf(Noise(32, 5));
  uint64_t wrong = 0;
  for (const size_t bytes : kTextBytes) {
    const auto plain = Noise(bytes, 6);
    std::vector<std::byte> sealed(plain.size());
    Tag tag{};
    MakeOpenSslAead(key).value()->Seal(kNonce, {}, plain, sealed, tag);
    const Score score =
        Race(plain, sealed, std::chrono::seconds(5), [&](Bytes text, std::span<std::byte> opened) {
          return OpenReadingTwice(key, tag, text, opened);
        });
    std::printf("%-12s %5zu bytes: accepted %9lu  refused %9lu  wrong %lu\n", "control", bytes,
                score.accepted, score.refused, score.wrong);
    wrong += score.wrong;
  }
  EXPECT_GT(wrong, 0U);
}

}  // namespace
}  // namespace coracle::crypto
