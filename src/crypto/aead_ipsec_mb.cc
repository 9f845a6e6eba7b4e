// AES-256-GCM by intel-ipsec-mb: the one-shot functions, which read each block of ciphertext once
// and write it without reading it back (single_read_test.cc races every instruction set), and
// neither allocate nor call the system.

#include <intel-ipsec-mb.h>

#include <cstring>
#include <new>

#include "crypto/aead_backends.h"
#include "crypto/hash.h"
#include "crypto/live_mark.h"

namespace coracle::crypto {
namespace {

struct ManagerFree {
  void operator()(IMB_MGR* manager) const { free_mb_mgr(manager); }
};

using Manager = std::unique_ptr<IMB_MGR, ManagerFree>;

void* Raw(std::span<std::byte> bytes) { return bytes.data(); }

/// The library takes pointers only and refuses null ones, even with length 0.
const uint8_t* NotNull(Bytes bytes, const uint8_t* instead) {
  return bytes.empty() ? instead : reinterpret_cast<const uint8_t*>(bytes.data());
}

/// All that knows the key. The library's type asks for 64 bytes only where its own build defines
/// LINUX.
struct KeyState {
  alignas(kKeyMemoryAlignment) gcm_key_data expanded{};
  alignas(kKeyMemoryAlignment) gcm_context_data context{};
  LiveMark live;
};
static_assert(sizeof(KeyState) <= kKeyMemoryBytes && alignof(KeyState) <= kKeyMemoryAlignment);

class IpsecMbAead final : public Aead {
 public:
  /// `own` may be null; else it holds `memory`.
  IpsecMbAead(const IMB_MGR& manager, const Key256& key, std::span<std::byte> memory,
              std::unique_ptr<KeyState> own)
      : own_(std::move(own)),
        state_(new (memory.data()) KeyState),
        encrypt_(manager.gcm256_enc),
        decrypt_(manager.gcm256_dec) {
    manager.gcm256_pre(key.bytes().data(), &state_->expanded);
  }
  ~IpsecMbAead() override { WipeMemory(std::as_writable_bytes(std::span(state_, 1))); }

  void Seal(const Nonce& nonce, Bytes associated, Bytes plaintext, std::span<std::byte> ciphertext,
            Tag& tag) override {
    CORACLE_CHECK(ciphertext.size() == plaintext.size() && state_->live.stands());
    Run(encrypt_, nonce, associated, plaintext, ciphertext, tag);
  }

  Verdict Open(const Nonce& nonce, Bytes associated, Bytes ciphertext, const Tag& tag,
               std::span<std::byte> plaintext) override {
    CORACLE_CHECK(ciphertext.size() == plaintext.size());
    Tag expected{};
    if (state_->live.stands()) {
      Run(decrypt_, nonce, associated, ciphertext, plaintext, expected);
      if (EqualConstantTime(expected, tag) && state_->live.stands()) return Verdict::kAuthentic;
    }
    WipeMemory(plaintext);
    WipeMemory(expected);
    return Verdict::kTampered;
  }

 private:
  void Run(aes_gcm_enc_dec_t function, const Nonce& nonce, Bytes associated, Bytes in,
           std::span<std::byte> out, Tag& tag) {
    uint8_t nothing[1] = {};
    uint8_t* to = out.empty() ? nothing : static_cast<uint8_t*>(Raw(out));
    function(&state_->expanded, &state_->context, to, NotNull(in, nothing), in.size(),
             reinterpret_cast<const uint8_t*>(nonce.data()), NotNull(associated, nothing),
             associated.size(), reinterpret_cast<uint8_t*>(tag.data()), kTagBytes);
  }

  std::unique_ptr<KeyState> own_;
  KeyState* state_;
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

/// The manager is 200 KB that only chooses function pointers for us, so it is let go at once.
Result<Manager> MakeManager(IpsecMbIsa isa) {
  Manager manager(alloc_mb_mgr(FlagsFor(isa)));
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
  return manager;
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
  const Manager manager(alloc_mb_mgr(FlagsFor(isa)));
  if (manager == nullptr) return false;
  // alloc_mb_mgr has filled in the processor's features; nothing of `isa` has run yet.
  const uint64_t needed = FeaturesFor(isa);
  return (manager->features & needed) == needed;
}

Result<std::unique_ptr<Aead>> MakeIpsecMbAead(IpsecMbIsa isa, const Key256& key) {
  TRY_ASSIGN(const Manager manager, MakeManager(isa));
  auto own = std::make_unique<KeyState>();
  const auto memory = std::as_writable_bytes(std::span(own.get(), 1));
  return std::unique_ptr<Aead>(
      std::make_unique<IpsecMbAead>(*manager, key, memory, std::move(own)));
}

Result<std::unique_ptr<Aead>> MakeIpsecMbAeadIn(std::span<std::byte> key_memory, IpsecMbIsa isa,
                                                const Key256& key) {
  TRY_ASSIGN(const Manager manager, MakeManager(isa));
  return std::unique_ptr<Aead>(std::make_unique<IpsecMbAead>(*manager, key, key_memory, nullptr));
}

}  // namespace coracle::crypto
