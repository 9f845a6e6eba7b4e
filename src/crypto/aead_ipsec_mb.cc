// AES-256-GCM by intel-ipsec-mb: the one-shot functions, which read each block of ciphertext once
// (single_read_test.cc races every instruction set) and neither allocate nor call the system.

#include <intel-ipsec-mb.h>

#include <cstring>
#include <new>

#include "crypto/aead_backends.h"
#include "crypto/hash.h"

namespace coracle::crypto {
namespace {

struct ManagerFree {
  void operator()(IMB_MGR* manager) const { free_mb_mgr(manager); }
};

void* Raw(std::span<std::byte> bytes) { return bytes.data(); }

/// The library takes pointers only and refuses null ones, even with length 0.
const uint8_t* NotNull(Bytes bytes, const uint8_t* instead) {
  return bytes.empty() ? instead : reinterpret_cast<const uint8_t*>(bytes.data());
}

class IpsecMbAead final : public Aead {
 public:
  IpsecMbAead(const IMB_MGR& manager, const Key256& key)
      : encrypt_(manager.gcm256_enc), decrypt_(manager.gcm256_dec) {
    CORACLE_CHECK(reinterpret_cast<uintptr_t>(&expanded_) % kKeyAlignment == 0);
    manager.gcm256_pre(key.bytes().data(), &expanded_);
  }
  ~IpsecMbAead() override {
    WipeMemory(std::as_writable_bytes(std::span(&expanded_, 1)));
    WipeMemory(std::as_writable_bytes(std::span(&context_, 1)));
  }

  void Seal(const Nonce& nonce, Bytes associated, Bytes plaintext, std::span<std::byte> ciphertext,
            Tag& tag) override {
    CORACLE_CHECK(ciphertext.size() == plaintext.size());
    Run(encrypt_, nonce, associated, plaintext, ciphertext, tag);
  }

  Verdict Open(const Nonce& nonce, Bytes associated, Bytes ciphertext, const Tag& tag,
               std::span<std::byte> plaintext) override {
    CORACLE_CHECK(ciphertext.size() == plaintext.size());
    Tag expected{};
    Run(decrypt_, nonce, associated, ciphertext, plaintext, expected);
    if (EqualConstantTime(expected, tag)) return Verdict::kAuthentic;
    WipeMemory(plaintext);
    WipeMemory(expected);
    return Verdict::kTampered;
  }

 private:
  // The type asks for 64 bytes only where the library's own build defines LINUX.
  static constexpr size_t kKeyAlignment = 64;

  void Run(aes_gcm_enc_dec_t function, const Nonce& nonce, Bytes associated, Bytes in,
           std::span<std::byte> out, Tag& tag) {
    uint8_t nothing[1] = {};
    uint8_t* to = out.empty() ? nothing : static_cast<uint8_t*>(Raw(out));
    function(&expanded_, &context_, to, NotNull(in, nothing), in.size(),
             reinterpret_cast<const uint8_t*>(nonce.data()), NotNull(associated, nothing),
             associated.size(), reinterpret_cast<uint8_t*>(tag.data()), kTagBytes);
  }

  alignas(kKeyAlignment) gcm_key_data expanded_{};
  alignas(kKeyAlignment) gcm_context_data context_{};
  aes_gcm_enc_dec_t encrypt_;
  aes_gcm_enc_dec_t decrypt_;
};

/// Leaving out GFNI makes the library fall back from VAES to 128-bit AES under AVX-512.
uint64_t FlagsFor(IpsecMbIsa isa) { return isa == IpsecMbIsa::kAvx512 ? IMB_FLAG_GFNI_OFF : 0; }

void Initialise(IpsecMbIsa isa, IMB_MGR* manager) {
  switch (isa) {
    case IpsecMbIsa::kBest: {
      IMB_ARCH picked = IMB_ARCH_NONE;
      return init_mb_mgr_auto(manager, &picked);
    }
    case IpsecMbIsa::kSse:
      return init_mb_mgr_sse(manager);
    case IpsecMbIsa::kAvx:
      return init_mb_mgr_avx(manager);
    case IpsecMbIsa::kAvx2:
      return init_mb_mgr_avx2(manager);
    case IpsecMbIsa::kAvx512:
    case IpsecMbIsa::kAvx512Vaes:
      return init_mb_mgr_avx512(manager);
  }
  CORACLE_CHECK(false);
}

/// What the library asks of the processor for `isa` (intel-ipsec-mb.h, IMB_CPUFLAGS_*).
uint64_t FeaturesFor(IpsecMbIsa isa) {
  switch (isa) {
    case IpsecMbIsa::kBest:
    case IpsecMbIsa::kSse:
      return IMB_CPUFLAGS_SSE;
    case IpsecMbIsa::kAvx:
      return IMB_CPUFLAGS_AVX;
    case IpsecMbIsa::kAvx2:
      return IMB_CPUFLAGS_AVX2;
    case IpsecMbIsa::kAvx512:
      return IMB_CPUFLAGS_AVX512;
    case IpsecMbIsa::kAvx512Vaes:
      return IMB_CPUFLAGS_AVX512_T2;
  }
  CORACLE_CHECK(false);
  return 0;
}

}  // namespace

std::string_view IpsecMbIsaName(IpsecMbIsa isa) {
  switch (isa) {
    case IpsecMbIsa::kBest:
      return "best";
    case IpsecMbIsa::kSse:
      return "sse";
    case IpsecMbIsa::kAvx:
      return "avx";
    case IpsecMbIsa::kAvx2:
      return "avx2";
    case IpsecMbIsa::kAvx512:
      return "avx512";
    case IpsecMbIsa::kAvx512Vaes:
      return "avx512_vaes";
  }
  CORACLE_CHECK(false);
  return {};
}

bool IpsecMbRuns(IpsecMbIsa isa) {
  std::unique_ptr<IMB_MGR, ManagerFree> manager(alloc_mb_mgr(FlagsFor(isa)));
  if (manager == nullptr) return false;
  // alloc_mb_mgr has filled in the processor's features; nothing of `isa` has run yet.
  const uint64_t needed = FeaturesFor(isa);
  return (manager->features & needed) == needed;
}

Result<std::unique_ptr<Aead>> MakeIpsecMbAead(IpsecMbIsa isa, const Key256& key) {
  // The manager is 200 KB that only chooses function pointers for us, so it is let go at once.
  std::unique_ptr<IMB_MGR, ManagerFree> manager(alloc_mb_mgr(FlagsFor(isa)));
  if (manager == nullptr) return Error{Code::kInternal, "ipsec-mb: out of memory"};
  const uint64_t needed = FeaturesFor(isa);
  if ((manager->features & needed) != needed) {
    return Error{Code::kUnsupported, "this processor lacks the AES instructions that ipsec-mb's " +
                                         std::string(IpsecMbIsaName(isa)) + " code needs"};
  }
  Initialise(isa, manager.get());
  if (imb_get_errno(manager.get()) != 0 || (manager->features & IMB_FEATURE_SELF_TEST_PASS) == 0) {
    return Error{Code::kInternal, "ipsec-mb failed its self-test on this processor"};
  }
  return std::unique_ptr<Aead>(std::make_unique<IpsecMbAead>(*manager, key));
}

}  // namespace coracle::crypto
